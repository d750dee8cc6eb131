"""What the shapes of the demo sound like.

Every shape is of wood or of metal, which is not to be seen: it is heard, as a
stroke at every step, while the shape moves. While it does not, something hums
or hisses somewhere else. So the sound tells of what it is that moves and not
what it looks like, and the picture the other way round.

Everything drawn depends on the generator that is passed in, and on nothing
else. A sound is mono, float32 from -1 to 1, ``RATE`` samples a second, and as
long as a clip.
"""
from typing import Callable, Dict, Tuple

import numpy as np

import shapes

FPS = 8
RATE = 16000
STEP = RATE // FPS  # samples while one frame is shown
LENGTH = shapes.FRAMES * STEP
NUM_FRAMES, NUM_MEL_BINS = 96, 32  # of a spectrogram
HOP = RATE // 100  # samples from one of its frames to the next

MATERIALS = ('wooden', 'metal')
NOUNS = tuple(f'{material} {look}' for material in MATERIALS
              for look in shapes.NOUNS)
OTHERS = ('hiss', 'hum')
# What the audio expert learns to tell apart before it hears any of the set.
SOUNDS = (*MATERIALS, *OTHERS)


def draw_clip(
        rng: np.random.Generator
) -> Tuple[np.ndarray, np.ndarray, int, int]:
    """A scene of the verb-noun set, with its sound.

    Returns:
        The clip, the sound, the verb's class and the noun's among ``NOUNS``.
    """
    clip, verb, look, moving = shapes.draw_scene(rng)
    material = int(rng.integers(len(MATERIALS)))
    sound = _noise(rng)
    _play(rng, sound, MATERIALS[material], moving)
    _play(rng, sound, OTHERS[rng.integers(len(OTHERS))], ~moving)
    return clip, sound, verb, look + material * len(shapes.NOUNS)


def draw_sound(
        rng: np.random.Generator) -> Tuple[np.ndarray, int, np.ndarray]:
    """One of ``SOUNDS`` during some steps, noise before and after.

    Returns:
        The spectrogram ``(1, NUM_FRAMES, NUM_MEL_BINS)``, the sound's class,
        and when it is to be heard: a mask ``(NUM_FRAMES, )``.
    """
    label = int(rng.integers(len(SOUNDS)))
    steps = np.arange(shapes.FRAMES)
    start = rng.integers(shapes.FRAMES - 2)
    when = (start <= steps) & (steps < start + rng.integers(2, 6))
    sound = _noise(rng)
    _play(rng, sound, SOUNDS[label], when)
    import torch
    from cast_mmaction.spectrograms.fbank import fbank
    spectrogram = fbank(torch.from_numpy(sound), RATE, NUM_MEL_BINS)
    centres = (np.arange(NUM_FRAMES) + 1) * HOP
    return spectrogram[None, :NUM_FRAMES].numpy(), label, when[centres // STEP]


def _noise(rng: np.random.Generator) -> np.ndarray:
    return 0.003 * rng.standard_normal(LENGTH, dtype=np.float32)


def _play(rng: np.random.Generator, sound: np.ndarray, name: str,
          when: np.ndarray) -> None:
    """Adds a stroke of a sound at some of the steps, in place.

    Pitch and loudness are random, the same for all strokes.
    """
    stroke = STROKES[name](rng) * rng.uniform(0.1, 0.3)
    for step in np.flatnonzero(when):
        sound[step * STEP:(step + 1) * STEP] += stroke


def _ring(pitch: float, partials: Tuple[float, ...],
          decay: float) -> np.ndarray:
    """Partials that die away within ``decay`` seconds."""
    time = np.arange(STEP) / RATE
    waves = [
        np.sin(2 * np.pi * pitch * partial * time) / (i + 1)
        for i, partial in enumerate(partials)
    ]
    return (sum(waves) * np.exp(-time / decay)).astype(np.float32)


def _wooden(rng: np.random.Generator) -> np.ndarray:
    return _ring(rng.uniform(250, 700), (1, 2.7, 5.2), 0.025)


def _metal(rng: np.random.Generator) -> np.ndarray:
    return _ring(rng.uniform(500, 1400), (1, 1.5, 2.3, 3.4), 0.1)


def _hiss(rng: np.random.Generator) -> np.ndarray:
    noise = np.diff(rng.standard_normal(STEP + 1))
    return (0.3 * noise).astype(np.float32)


def _hum(rng: np.random.Generator) -> np.ndarray:
    return _ring(rng.uniform(80, 160), (1, 2, 3), 10.)


STROKES: Dict[str, Callable[[np.random.Generator], np.ndarray]] = dict(
    wooden=_wooden, metal=_metal, hiss=_hiss, hum=_hum)
