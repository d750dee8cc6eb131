# MMAction2's Video Swin at the size of the demo, from random weights.
_base_ = '../../cast_demo.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='SwinTransformer3D',
        arch=dict(embed_dims=32, depths=[2, 2], num_heads=[2, 4]),
        patch_size=(2, 4, 4),
        window_size=(4, 5, 5),
        out_indices=(1, ),
        pretrained2d=False))
