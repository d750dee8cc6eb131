# VideoMAE in both roles.
_base_ = './cast.py'

model = dict(
    backbone=dict(
        spatial=dict(_delete_=True, **_base_.model.backbone.temporal)))
