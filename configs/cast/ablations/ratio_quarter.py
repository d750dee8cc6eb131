# B-CAST with a bottleneck of 1/4 of the width.
_base_ = './cast.py'

model = dict(backbone=dict(exchange=dict(ratio=0.25)))
