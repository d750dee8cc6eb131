"""Frame sampling, augmentation, EPIC-KITCHENS-100 and unreadable videos."""
from .loading import VideoDecode, VideoInit
from .sampling import CASTSampleFrames
from .seeding import EpochSampler
from .video import UnreadableVideo
from .views import ShortSideResize, ThreeViewCrop

__all__ = [
    'CASTSampleFrames', 'EpochSampler', 'ShortSideResize', 'ThreeViewCrop',
    'UnreadableVideo', 'VideoDecode', 'VideoInit'
]
