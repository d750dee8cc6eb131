# A frozen DINOv3 ViT-L/16 on every second frame with the same probe over the
#   tokens of all of them: what an image model knows of this data set.
# Source, expected, views: see the file below. Weights: by timm, fetched once.
_base_ = './vjepa2-large_probe_16xb8-uniform-16-20e_sthv2-rgb.py'

model = dict(
    backbone=dict(
        expert=dict(
            _delete_=True,
            type='TimmExpert',
            model_name='vit_large_patch16_dinov3.lvd1689m',
            num_frames=16,
            pretrained=True)))
