"""The models: mathematics that knows nothing of datasets or runners."""
from .adapted import AdaptedExpert
from .aim import AIM
from .ast_expert import ASTExpert
from .attentive_probe import AttentivePool, ExpertTokens
from .audio_visual import AudioVisualBlending, AudioVisualDataPreprocessor
from .baseline_exchanges import CrossAttentionExchange, Lateral
from .blending import VerbNounBlending
from .cast import CAST
from .evl import EVL
from .exchange import BCAST
from .fusion import EnsembleHead, LateFusion
from .heads import CASTHead, LinearHead, VerbNounHead
from .sound_heads import (CA2STHead, CA2STVerbNounHead, CAVAHead,
                          CAVAVerbNounHead)
from .space_time_vit import SpaceTimeViT
from .st_adapter import STAdapter
from .timm_expert import TimmExpert
from .vit import CLIPExpert, VideoMAEExpert
from .vjepa2 import VJEPA2Expert

__all__ = [
    'AIM', 'ASTExpert', 'AdaptedExpert', 'AttentivePool',
    'AudioVisualBlending', 'AudioVisualDataPreprocessor', 'BCAST',
    'CA2STHead', 'CA2STVerbNounHead', 'CAST', 'CASTHead', 'CAVAHead',
    'CAVAVerbNounHead', 'CLIPExpert', 'CrossAttentionExchange', 'EVL',
    'EnsembleHead', 'ExpertTokens', 'LateFusion', 'Lateral', 'LinearHead',
    'STAdapter', 'SpaceTimeViT', 'TimmExpert', 'VJEPA2Expert',
    'VerbNounBlending', 'VerbNounHead', 'VideoMAEExpert'
]
