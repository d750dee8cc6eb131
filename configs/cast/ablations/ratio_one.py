# B-CAST with a bottleneck of 1 of the width.
_base_ = './cast.py'

model = dict(backbone=dict(exchange=dict(ratio=1.0)))
