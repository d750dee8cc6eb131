# Both experts with adapters, without exchange.
_base_ = './cast_demo.py'

model = dict(backbone=dict(exchange=None))
