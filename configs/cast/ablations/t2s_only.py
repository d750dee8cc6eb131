# One direction: the spatial stream hears the temporal one.
_base_ = './cast.py'

model = dict(backbone=dict(exchange=dict(directions=['t2s'])))
