# ST-Adapter at the size of the demo: the spatial expert, which sees all eight
#   frames, with an adapter before attention and MLP of every block.
_base_ = '../../cast_demo.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='STAdapter',
        arch={{_base_.arch}},
        img_size=40,
        patch_size=8,
        num_frames=8,
        adapter_dims=32,
        pretrained={{_base_.spatial.pretrained}}))
