# Late concatenation: both labels from both read-out features of frozen experts
#   with adapters. The paper's row is late_concat_finetuned.
_base_ = './cast.py'

model = dict(
    backbone=dict(exchange=None),
    neck=dict(type='LateFusion', how='concat'),
    cls_head=dict(in_channels=2 * _base_.model.cls_head.in_channels))
