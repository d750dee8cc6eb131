"""The models: mathematics that knows nothing of datasets or runners."""
from .cast import CAST, AdaptedExpert
from .exchange import BCAST
from .heads import CASTHead, VerbNounHead
from .vit import CLIPExpert, VideoMAEExpert

__all__ = [
    'AdaptedExpert', 'BCAST', 'CAST', 'CASTHead', 'CLIPExpert',
    'VerbNounHead', 'VideoMAEExpert'
]
