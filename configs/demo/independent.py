# Both experts with adapters, without exchange.
_base_ = './cast.py'

model = dict(backbone=dict(exchange=None))
