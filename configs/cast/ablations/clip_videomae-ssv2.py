# VideoMAE pre-trained on Something-Something V2.
_base_ = './cast.py'

model = dict(
    backbone=dict(
        temporal=dict(pretrained='checkpoints/videomae-base_ssv2.pth')))
