# Independent experts with adapters that each learn both labels; their
#   probabilities are averaged at test time.
_base_ = './cast.py'

model = dict(
    backbone=dict(exchange=None), cls_head=dict(type='EnsembleHead'))
