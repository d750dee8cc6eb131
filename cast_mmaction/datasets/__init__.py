"""Frames and sound of clips, augmentation, data sets, unreadable videos."""
from .audio import AudioDecode, MissingSoundHook, SpecAugment
from .deferring import (AugmentingActionDataPreprocessor,
                        AugmentingAudioVisualDataPreprocessor, DeferClip)
from .epic_kitchens import EpicKitchensDataset
from .epic_sounds import EpicSoundsDataset
from .erasing import ClipRandomErasing
from .formatting import PackVerbNounInputs
from .fusing import FuseClip
from .loading import VideoDecode, VideoInit
from .rand_augment import ClipRandAugment
from .rescale import InverseRandomRescale
from .sampling import ClipSampleFrames
from .seeding import EpochSampler
from .shard_sampler import ShardSampler
from .sound import MissingSound
from .unreadable import UnreadableVideoHook
from .video import UnreadableVideo
from .video_list import VideoListDataset
from .views import ShortSideResize, ThreeViewCrop

__all__ = [
    'AudioDecode', 'AugmentingActionDataPreprocessor',
    'AugmentingAudioVisualDataPreprocessor', 'ClipRandAugment',
    'ClipRandomErasing', 'ClipSampleFrames', 'DeferClip',
    'EpicKitchensDataset', 'EpicSoundsDataset', 'EpochSampler', 'FuseClip',
    'InverseRandomRescale', 'MissingSound', 'MissingSoundHook',
    'PackVerbNounInputs', 'ShardSampler', 'ShortSideResize', 'SpecAugment',
    'ThreeViewCrop', 'UnreadableVideo', 'UnreadableVideoHook', 'VideoDecode',
    'VideoInit', 'VideoListDataset'
]
