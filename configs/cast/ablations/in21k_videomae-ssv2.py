# An IN-21K ViT-B/16 in space, fetched by timm; VideoMAE trained on
#   Something-Something V2, of either kind.
_base_ = './in21k_videomae.py'

model = dict(
    backbone=dict(
        temporal=dict(pretrained='checkpoints/videomae-base_ssv2.pth')))
