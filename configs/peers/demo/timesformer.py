# TimeSformer at the size of the demo, from random weights: its published start
#   is an image ViT, and the demo has none of its kind.
_base_ = '../../cast_demo.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='SpaceTimeViT',
        arch={{_base_.arch}},
        img_size=40,
        patch_size=8,
        num_frames=8))
