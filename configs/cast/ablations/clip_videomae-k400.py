# VideoMAE trained on Kinetics-400. Whether the paper's was
#   fine-tuned is open: either kind of file is taken.
_base_ = './cast.py'

model = dict(
    backbone=dict(
        temporal=dict(pretrained='checkpoints/videomae-base_k400.pth')))
