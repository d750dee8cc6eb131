# Roles swapped: VideoMAE in space, CLIP in time.
_base_ = './cast.py'

model = dict(
    backbone=dict(
        spatial=dict(_delete_=True, **_base_.model.backbone.temporal),
        temporal=dict(_delete_=True, **_base_.model.backbone.spatial)))
