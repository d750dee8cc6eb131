"""Scenes that two experts must read together.

A scene holds four textured shapes on a soft background; one of them moves.
The noun is the look of the one that moves, so motion has to tell which; the
verb is how it moves and which family its texture belongs to, so the look has
to say more than motion knows. Colours are random and tell nothing.

Everything drawn depends on the generator that is passed in, and on nothing
else. Frames are uint8 RGB, clips ``(frames, SIZE, SIZE, 3)``.
"""
from typing import List, NamedTuple, Tuple

import cv2
import numpy as np

SIZE = 40  # pixels
FRAMES = 8
OBJECTS = 4
NOISE = 6  # standard deviation of the pixel noise, grey levels

SHAPES = ('square', 'diamond')
TEXTURES = ('level', 'checked', 'upright', 'slanted')
NOUNS = tuple(f'{texture} {shape}' for shape in SHAPES
              for texture in TEXTURES)
# A verb is a motion and the family of the texture: the first two textures
# slide where the last two roll.
MOTIONS = ('left', 'right', 'shake', 'grow')
VERBS = ('slide left', 'roll left', 'slide right', 'roll right', 'tremble',
         'wobble', 'swell', 'unfold')

# What the temporal expert learns before it sees any of the above.
DIRECTIONS = ('right', 'down right', 'down', 'down left', 'left', 'up left',
              'up', 'up right')
ALL_MOTIONS = DIRECTIONS + ('shake', 'shake upright', 'circle', 'grow')

_HALF = 16  # no shape is wider than 2 * _HALF + 1
_Y, _X = np.mgrid[-_HALF:_HALF + 1, -_HALF:_HALF + 1]
_PATTERNS = dict(
    level=_Y // 2 % 2,
    checked=(_X // 2 + _Y // 2) % 2,
    upright=_X // 2 % 2,
    slanted=(_X + _Y) // 2 % 2)


class Thing(NamedTuple):
    """What one shape looks like.

    Attributes:
        shape: One of ``SHAPES``.
        pattern: Which of the two colours, ``(33, 33)``, around the centre.
        colours: Two colours, ``(2, 3)``, grey levels.
        radius: Half the width, pixels.
    """
    shape: str
    pattern: np.ndarray
    colours: np.ndarray
    radius: float


class Path(NamedTuple):
    """How a shape moves: offsets from its place and its radius, pixels, one
    of each per frame."""
    x: np.ndarray
    y: np.ndarray
    radius: np.ndarray


def verb_of(motion: str, noun: int) -> int:
    """The verb of a shape of class ``noun`` that makes ``motion``."""
    return 2 * MOTIONS.index(motion) + noun % len(TEXTURES) // 2


def draw_clip(rng: np.random.Generator) -> Tuple[np.ndarray, int, int]:
    """A scene of the verb-noun set.

    Returns:
        The clip, the verb's and the noun's class.
    """
    nouns = rng.permutation(len(NOUNS))[:OBJECTS]
    motion = MOTIONS[rng.integers(len(MOTIONS))]
    things = [_thing(rng, int(noun)) for noun in nouns]
    clip = _film(rng, things, _path(rng, motion))[0]
    return clip, verb_of(motion, int(nouns[0])), int(nouns[0])


def draw_still(
        rng: np.random.Generator) -> Tuple[np.ndarray, int, np.ndarray]:
    """One shape somewhere.

    Returns:
        A clip of one frame, the noun's class, and where it is to be seen: a
        mask ``(1, SIZE, SIZE)``.
    """
    noun = int(rng.integers(len(NOUNS)))
    frame = _background(rng)
    x, y = rng.integers(6, SIZE - 6, 2)
    mask = _paint(frame, _thing(rng, noun), x, y, rng.uniform(4.5, 8))
    return _finish(rng, frame[None]), noun, mask[None]


def draw_motion(
        rng: np.random.Generator) -> Tuple[np.ndarray, int, np.ndarray]:
    """A scene of blobs, one of which moves in one of ``ALL_MOTIONS``.

    Returns:
        The clip, the motion's class, and where it is to be seen: a mask
        ``(frames, SIZE, SIZE)`` of the moving blob.
    """
    label = int(rng.integers(len(ALL_MOTIONS)))
    things = [_blob(rng) for _ in range(OBJECTS)]
    clip, mask = _film(rng, things, _path(rng, ALL_MOTIONS[label]))
    return clip, label, mask


def _film(rng: np.random.Generator, things: List[Thing],
          path: Path) -> Tuple[np.ndarray, np.ndarray]:
    """The first of the things moves, the others stand, one in each quarter.

    Returns:
        The clip, and the mask of the first thing.
    """
    quarter = SIZE // 2
    corners = [(x, y) for x in (0, quarter) for y in (0, quarter)]
    places = [
        np.add(corners[i], quarter / 2) + rng.uniform(-1.5, 1.5, 2)
        for i in rng.permutation(len(corners))
    ]
    scene = _background(rng)
    for thing, (x, y) in zip(things[1:], places[1:]):
        _paint(scene, thing, x, y, thing.radius)
    clip = np.repeat(scene[None], FRAMES, axis=0)
    mask = np.zeros(clip.shape[:3], bool)
    x, y = places[0]
    for i, frame in enumerate(clip):
        mask[i] = _paint(frame, things[0], x + path.x[i], y + path.y[i],
                         things[0].radius + path.radius[i])
    return _finish(rng, clip), mask


def _thing(rng: np.random.Generator, noun: int) -> Thing:
    shape, texture = divmod(noun, len(TEXTURES))
    return Thing(SHAPES[shape], _PATTERNS[TEXTURES[texture]], _colours(rng),
                 rng.uniform(5.5, 6.5))


def _blob(rng: np.random.Generator) -> Thing:
    pattern = rng.integers(0, 2, (12, 12), dtype=np.uint8)
    side = 2 * _HALF + 1
    pattern = cv2.resize(pattern, (side, side),
                         interpolation=cv2.INTER_NEAREST)
    return Thing(SHAPES[rng.integers(2)], pattern, _colours(rng),
                 rng.uniform(5, 7))


def _colours(rng: np.random.Generator) -> np.ndarray:
    """Two random colours that differ in brightness, which video coding keeps
    at every pixel, where it thins out colour."""
    first = rng.uniform(30, 225, 3)
    change = rng.uniform(90, 120) + rng.uniform(-40, 40, 3)
    second = first + change if first.mean() < 128 else first - change
    return np.clip([first, second], 0, 255)


def _background(rng: np.random.Generator) -> np.ndarray:
    coarse = rng.uniform(40, 215, (4, 4, 3)).astype(np.float32)
    return cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)


def _path(rng: np.random.Generator, motion: str) -> Path:
    time = np.arange(FRAMES) - (FRAMES - 1) / 2
    still = np.zeros(FRAMES)
    speed = rng.uniform(1, 1.6)
    if motion in DIRECTIONS:
        angle = np.pi / 4 * DIRECTIONS.index(motion)
        return Path(speed * time * np.cos(angle), speed * time * np.sin(angle),
                    still)
    start = rng.integers(2)
    if motion == 'grow':
        return Path(still, still, 0.33 * speed * time)
    if motion == 'circle':
        angle = np.pi / 2 * (np.arange(FRAMES) * (1 - 2 * start))
        angle = angle + rng.uniform(0, 2 * np.pi)
        return Path(2 * np.cos(angle), 2 * np.sin(angle), still)
    swing = np.where((np.arange(FRAMES) + start) % 2, 2., -2.)
    if motion == 'shake':
        return Path(swing, still, still)
    assert motion == 'shake upright'
    return Path(still, swing, still)


def _paint(frame: np.ndarray, thing: Thing, x: float, y: float,
           radius: float) -> np.ndarray:
    """Paints onto ``frame`` in place.

    The centre is rounded to a pixel, so that a texture stays what it is.

    Returns:
        Mask ``(SIZE, SIZE)`` of the painted pixels.
    """
    x, y = round(x), round(y)
    if thing.shape == 'square':
        inside = np.maximum(abs(_X), abs(_Y)) < radius
    else:
        inside = abs(_X) + abs(_Y) < 1.3 * radius
    rows, cols = _Y[inside] + y, _X[inside] + x
    seen = (0 <= rows) & (rows < SIZE) & (0 <= cols) & (cols < SIZE)
    rows, cols = rows[seen], cols[seen]
    frame[rows, cols] = thing.colours[thing.pattern[inside][seen]]
    mask = np.zeros(frame.shape[:2], bool)
    mask[rows, cols] = True
    return mask


def _finish(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    return np.clip(image + NOISE * noise, 0, 255).astype(np.uint8)

