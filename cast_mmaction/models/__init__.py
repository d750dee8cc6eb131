"""The models: mathematics that knows nothing of datasets or runners."""
from .blending import VerbNounBlending
from .cast import CAST, AdaptedExpert
from .exchange import BCAST
from .heads import CASTHead, VerbNounHead
from .timm_expert import TimmExpert
from .vit import CLIPExpert, VideoMAEExpert

__all__ = [
    'AdaptedExpert', 'BCAST', 'CAST', 'CASTHead', 'CLIPExpert',
    'TimmExpert', 'VerbNounBlending', 'VerbNounHead', 'VideoMAEExpert'
]
