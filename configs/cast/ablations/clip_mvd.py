# MVD-B, of VideoMAE's architecture, in time.
_base_ = './cast.py'

model = dict(
    backbone=dict(temporal=dict(pretrained='checkpoints/mvd-base.pth')))
