"""The models: mathematics that knows nothing of datasets or runners."""
from .adapted import AdaptedExpert
from .aim import AIM
from .attentive_probe import AttentivePool, ExpertTokens
from .audio_visual import AudioVisualBlending, AudioVisualDataPreprocessor
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
from .vjepa2 import VJEPA2Expert

__all__ = [
    'AIM', 'AdaptedExpert', 'AttentivePool', 'AudioVisualBlending',
    'AudioVisualDataPreprocessor', 'BCAST', 'CAST', 'CASTHead',
    'CLIPExpert', 'CrossAttentionExchange', 'EVL', 'EnsembleHead',
    'ExpertTokens', 'LateFusion', 'Lateral', 'LinearHead', 'STAdapter',
    'SpaceTimeViT', 'TimmExpert', 'VJEPA2Expert', 'VerbNounBlending',
    'VerbNounHead', 'VideoMAEExpert'
]
