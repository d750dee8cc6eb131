# Late addition of fully fine-tuned experts without adapters, as the paper's
#   section 4.5 and appendix A have it (one sentence elsewhere says adapters:
#   late_add).
_base_ = './cast.py'

model = dict(
    backbone=dict(
        exchange=None, adapter_ratio=None, freeze_experts=False),
    neck=dict(type='LateFusion', how='add'))
