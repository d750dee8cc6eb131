# An IN-21K ViT-B/16 in space, fetched by timm; no exchange.
_base_ = './in21k_videomae.py'

model = dict(backbone=dict(exchange=None))
