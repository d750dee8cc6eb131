# AIM at the size of the demo: the spatial expert, which sees all eight
#   frames, with adapters in time, space and beside the MLP.
_base_ = '../../cast_demo.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='AIM',
        arch={{_base_.arch}},
        img_size=40,
        patch_size=8,
        num_frames=8,
        pretrained={{_base_.spatial.pretrained}}))
