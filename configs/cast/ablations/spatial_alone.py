# The spatial expert alone, with adapters: both labels from its feature.
_base_ = './cast.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='AdaptedExpert',
        expert=_base_.model.backbone.spatial))
