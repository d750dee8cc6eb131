# Late addition: both labels from the sum of the read-out features of frozen
#   experts with adapters. The paper's row is late_add_finetuned.
_base_ = './cast.py'

model = dict(
    backbone=dict(exchange=None), neck=dict(type='LateFusion', how='add'))
