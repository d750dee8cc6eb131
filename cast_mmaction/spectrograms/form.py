"""The spectrograms of a sample's views, of one stretch of sound.

What is to be made is known where the file is read; it is made there, or on
the device of the model.
"""
from typing import NamedTuple, Sequence, Tuple

from torch import Tensor

from .fbank import fbank, frame_shift, num_frames
from .resampling import at_rate

# Axis, start, width and what is written there.
Mask = Tuple[int, int, int, float]


class Spectrograms(NamedTuple):
    """How the views' spectrograms are made; plain numbers.

    Attributes:
        num_frames: Of a spectrogram.
        num_mel_bins: Of a spectrogram.
        sample_rate: At which they are made, samples a second.
        windows: The frames of the stretch with which the views begin.
        rate: Samples a second that the stretch has.
        num_samples: Length of the stretch at `sample_rate`, like the
            following; without its margins.
        begin: First sample that is there.
        end: One past the last sample that is there; 0 if there is no sound.
        masks: What is hidden, in all views.
    """
    num_frames: int
    num_mel_bins: int
    sample_rate: int
    windows: Tuple[int, ...]
    rate: int = 0
    num_samples: int = 0
    begin: int = 0
    end: int = 0
    masks: Tuple[Mask, ...] = ()

    def of(self, samples: Tensor) -> Tensor:
        """Make them.

        Args:
            samples (Tensor): Of a `Recording`, (N, ).

        Returns:
            Tensor: (views, 1, frames, bins), 0 in frames that are not wholly
            there.
        """
        views = samples.new_zeros(
            len(self.windows), 1, self.num_frames, self.num_mel_bins)
        if self.end:
            sound = at_rate(samples, self.rate, self.num_samples,
                            self.sample_rate)
            found = fbank(sound, self.sample_rate, self.num_mel_bins)
            begin = -(-self.begin // frame_shift(self.sample_rate))
            found[:begin] = 0
            found[num_frames(self.end, self.sample_rate):] = 0
            for view, window in zip(views[:, 0], self.windows):
                seen = found[window:window + self.num_frames]
                view[:len(seen)] = seen
        return masked(views, self.masks)


def masked(audio: Tensor, masks: Sequence[Mask]) -> Tensor:
    """Writes masks over spectrograms (..., frames, bins), in place."""
    for axis, start, width, value in masks:
        audio.narrow(axis, start, width).fill_(value)
    return audio
