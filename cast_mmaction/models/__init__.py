"""The models: mathematics that knows nothing of datasets or runners."""
from .adapted import AdaptedExpert
from .aim import AIM
from .baseline_exchanges import CrossAttentionExchange, Lateral
from .blending import VerbNounBlending
from .cast import CAST
from .evl import EVL
from .exchange import BCAST
from .fusion import EnsembleHead, LateFusion
from .heads import CASTHead, LinearHead, VerbNounHead
from .space_time_vit import SpaceTimeViT
from .st_adapter import STAdapter
from .timm_expert import TimmExpert
from .vit import CLIPExpert, VideoMAEExpert

__all__ = [
    'AIM', 'AdaptedExpert', 'BCAST', 'CAST', 'CASTHead', 'CLIPExpert',
    'CrossAttentionExchange', 'EVL', 'EnsembleHead', 'LateFusion',
    'Lateral', 'LinearHead', 'STAdapter', 'SpaceTimeViT', 'TimmExpert',
    'VerbNounBlending', 'VerbNounHead', 'VideoMAEExpert'
]
