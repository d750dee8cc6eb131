# Independent experts without adapters, fully fine-tuned.
_base_ = './cast.py'

model = dict(
    backbone=dict(exchange=None, adapter_ratio=None, freeze_experts=False))
