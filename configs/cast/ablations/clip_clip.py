# CLIP in both roles.
_base_ = './cast.py'

model = dict(
    backbone=dict(
        temporal=dict(_delete_=True, **_base_.model.backbone.spatial)))
