# B-CAST with a bottleneck of 1/8 of the width.
_base_ = './cast.py'

model = dict(backbone=dict(exchange=dict(ratio=0.125)))
