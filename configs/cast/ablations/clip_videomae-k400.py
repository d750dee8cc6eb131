# VideoMAE pre-trained on Kinetics-400.
_base_ = './cast.py'

model = dict(
    backbone=dict(
        temporal=dict(pretrained='checkpoints/videomae-base_k400.pth')))
