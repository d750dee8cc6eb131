# As cast-large_dinov3-vjepa2-pre_16xb6-uniform... beside this file, with CLIP
#   ViT-L/14 for space: 16 x 16 patches against 14 x 14 of V-JEPA 2, which
#   B-CAST matches by interpolation.
# Source, expected, views: see there. Weights: CLIP from open_clip.
_base_ = './cast-large_dinov3-vjepa2-pre_16xb6-uniform-16-50e_sthv2-rgb.py'

model = dict(
    backbone=dict(
        spatial=dict(
            _delete_=True,
            type='CLIPExpert',
            arch='large',
            patch_size=14,
            num_frames=16,
            pretrained='openai')))
