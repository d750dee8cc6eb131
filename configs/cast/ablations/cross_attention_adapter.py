# Cross-attention at full width, then an adapter. 82.1 M trained; the paper's
#   has 93.0 M. The adapters alone are 7.1 M in both.
_base_ = './cast.py'

model = dict(
    backbone=dict(
        exchange=dict(
            _delete_=True, type='CrossAttentionExchange',
            adapter_ratio=0.25)))
