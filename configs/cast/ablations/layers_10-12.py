# B-CAST in blocks 10 to 12 only.
_base_ = './cast.py'

model = dict(backbone=dict(exchange_layers=list(range(9, 12))))
