# Late addition: both labels from the sum of the read-out features.
_base_ = './cast.py'

model = dict(
    backbone=dict(exchange=None), neck=dict(type='LateFusion', how='add'))
