"""Attention, relevance and charts."""
from .attention_maps import AttentionMap, directions, record_attention
from .relevance import attention_rollout, token_grad_cam

__all__ = [
    'AttentionMap', 'attention_rollout', 'directions', 'record_attention',
    'token_grad_cam'
]
