# VideoMAE trained on Something-Something V2. Whether the paper's was
#   fine-tuned is open: either kind of file is taken.
_base_ = './cast.py'

model = dict(
    backbone=dict(
        temporal=dict(pretrained='checkpoints/videomae-base_ssv2.pth')))
