"""Frame sampling, augmentation, EPIC-KITCHENS-100 and unreadable videos."""
from .epic_kitchens import EpicKitchensDataset
from .erasing import ClipRandomErasing
from .formatting import PackVerbNounInputs
from .loading import VideoDecode, VideoInit
from .rand_augment import ClipRandAugment
from .rescale import InverseRandomRescale
from .sampling import ClipSampleFrames
from .seeding import EpochSampler
from .unreadable import UnreadableVideoHook
from .video import UnreadableVideo
from .video_list import VideoListDataset
from .views import ShortSideResize, ThreeViewCrop

__all__ = [
    'ClipRandAugment', 'ClipRandomErasing', 'ClipSampleFrames',
    'EpicKitchensDataset', 'EpochSampler', 'InverseRandomRescale',
    'PackVerbNounInputs', 'ShortSideResize', 'ThreeViewCrop',
    'UnreadableVideo', 'UnreadableVideoHook', 'VideoDecode', 'VideoInit',
    'VideoListDataset'
]
