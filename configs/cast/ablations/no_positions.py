# B-CAST without positions of its own.
_base_ = './cast.py'

model = dict(backbone=dict(exchange=dict(positions=False)))
