# Independent experts whose adapters are widened until about as much is
#   trained as in CAST (45.6 M against 44.8 M): is the exchange more than
#   parameters? The demo's pair: 107.6 k against 110.6 k.
_base_ = './cast.py'

model = dict(backbone=dict(exchange=None, adapter_ratio=0.8))
