"""The models: mathematics that knows nothing of datasets or runners."""
from .adapters import AdaptedExpert
from .baseline_exchanges import CrossAttentionExchange, Lateral
from .blending import VerbNounBlending
from .cast import CAST
from .exchange import BCAST
from .heads import CASTHead, VerbNounHead
from .timm_expert import TimmExpert
from .vit import CLIPExpert, VideoMAEExpert

__all__ = [
    'AdaptedExpert', 'BCAST', 'CAST', 'CASTHead', 'CLIPExpert',
    'CrossAttentionExchange', 'Lateral', 'TimmExpert', 'VerbNounBlending',
    'VerbNounHead', 'VideoMAEExpert'
]
