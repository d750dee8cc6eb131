# Layer-wise lateral connections of fully fine-tuned experts without adapters,
#   as the paper's section 4.5 and appendix A have it (one sentence elsewhere
#   says adapters: lateral).
_base_ = './cast.py'

model = dict(
    backbone=dict(
        exchange=dict(_delete_=True, type='Lateral'),
        adapter_ratio=None,
        freeze_experts=False))
