# B-CAST in blocks 7 to 12 only.
_base_ = './cast.py'

model = dict(backbone=dict(exchange_layers=list(range(6, 12))))
