# One direction: the temporal stream hears the spatial one.
_base_ = './cast.py'

model = dict(backbone=dict(exchange=dict(directions=['s2t'])))
