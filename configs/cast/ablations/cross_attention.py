# Cross-attention at full width, without a bottleneck, in B-CAST's windows.
#   75.0 M trained; the paper's has 85.9 M.
_base_ = './cast.py'

model = dict(
    backbone=dict(
        exchange=dict(_delete_=True, type='CrossAttentionExchange')))
