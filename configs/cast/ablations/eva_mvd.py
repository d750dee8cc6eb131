# EVA-02-B/16 in space, MVD-B in time.
_base_ = './eva_videomae.py'

model = dict(
    backbone=dict(temporal=dict(pretrained='checkpoints/mvd-base.pth')))
