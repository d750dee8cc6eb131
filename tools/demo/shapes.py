"""Scenes that two experts must read together.

A scene holds four textured shapes on a soft background and a wall at its left
or right end. In one half of the clip one of the shapes moves. The noun is the
look of the one that moves, so motion has to tell which. Verbs come in pairs:
towards the wall or away from it (a relation between two things: direction
alone does not tell), up or down, shaking or growing in one of two ways, which
the texture of what moves and the side of the wall decide.

What moves is blurred, and the others are out of focus in a half of the clip
too. So no step shows both a motion and the texture of what moves: they have to
be brought together over time. Colours are random and tell nothing.

Everything drawn depends on the generator that is passed in, and on nothing
else. Frames are uint8 RGB, clips ``(frames, SIZE, SIZE, 3)``.
"""
from typing import List, NamedTuple, Tuple

import cv2
import numpy as np

SIZE = 40  # pixels
FRAMES = 8
HALF = FRAMES // 2
WALL = 7  # width, pixels
OBJECTS = 4
NOISE = 6  # standard deviation of the pixel noise, grey levels

SHAPES = ('square', 'diamond')
TEXTURES = ('level', 'checked', 'upright', 'slanted')
NOUNS = tuple(f'{texture} {shape}' for shape in SHAPES
              for texture in TEXTURES)
MOTIONS = (('left', 'right'), ('up', 'down'), ('shake', ), ('grow', ))
VERBS = ('move towards', 'move away', 'rise', 'fall', 'tremble', 'wobble',
         'swell', 'unfold')

# What the spatial expert learns before it sees any of the above ...
SIDES = ('left', 'right')
STILLS = (*NOUNS, *(f'{side} wall' for side in SIDES))
# ... and the temporal one.
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
    """How a shape moves: offsets from its place and its radius, pixels, and
    whether it is moving, one of each per frame."""
    x: np.ndarray
    y: np.ndarray
    radius: np.ndarray
    moving: np.ndarray


def verb_of(motion: str, noun: int, wall: int) -> int:
    """The verb of a shape of class ``noun`` that makes ``motion`` beside a
    wall on the left (0) or on the right (1)."""
    if motion in SIDES:
        return int(motion != SIDES[wall])
    if motion in ('up', 'down'):
        return 2 + int(motion == 'down')
    if motion == 'shake':  # the family: level and checked, upright and slanted
        return 4 + noun % len(TEXTURES) // 2
    assert motion == 'grow'
    return 6 + wall


def draw_clip(rng: np.random.Generator) -> Tuple[np.ndarray, int, int]:
    """A scene of the verb-noun set.

    Returns:
        The clip, the verb's and the noun's class.
    """
    return draw_scene(rng)[:3]


def draw_scene(
    rng: np.random.Generator
) -> Tuple[np.ndarray, int, int, np.ndarray]:
    """A scene of the verb-noun set, and when something moves in it.

    Returns:
        The clip, the verb's and the noun's class, and the frames in which the
        shape moves, ``(frames, )`` bool.
    """
    nouns = rng.permutation(len(NOUNS))[:OBJECTS]
    motion = rng.choice(MOTIONS[rng.integers(len(MOTIONS))])
    wall = int(rng.integers(len(SIDES)))
    things = [_thing(rng, int(noun)) for noun in nouns]
    path = _path(rng, motion)
    clip = _film(rng, things, path, wall)[0]
    noun = int(nouns[0])
    return clip, verb_of(motion, noun, wall), noun, path.moving


def draw_still(
        rng: np.random.Generator) -> Tuple[np.ndarray, int, np.ndarray]:
    """One shape somewhere, or a wall.

    Returns:
        A clip of one frame, its class among ``STILLS``, and where it is to be
        seen: a mask ``(1, SIZE, SIZE)``.
    """
    label = int(rng.integers(len(STILLS)))
    frame = _background(rng)
    if label < len(NOUNS):
        x, y = rng.integers(6, SIZE - 6, 2)
        mask = _paint(frame, _thing(rng, label), x, y, rng.uniform(4.5, 8))
    else:
        mask = _paint_wall(rng, frame, label - len(NOUNS))
    return _finish(rng, frame[None]), label, mask[None]


def draw_motion(
        rng: np.random.Generator) -> Tuple[np.ndarray, int, np.ndarray]:
    """A scene of sharp blobs, one of which moves in one of ``ALL_MOTIONS``.

    Returns:
        The clip, the motion's class, and where it is to be seen: a mask
        ``(frames, SIZE, SIZE)`` of the blob while it moves.
    """
    label = int(rng.integers(len(ALL_MOTIONS)))
    things = [_blob(rng) for _ in range(OBJECTS)]
    wall = int(rng.integers(len(SIDES)))
    clip, mask = _film(
        rng, things, _path(rng, ALL_MOTIONS[label]), wall, sharp=True)
    return clip, label, mask


def _film(rng: np.random.Generator,
          things: List[Thing],
          path: Path,
          wall: int,
          sharp: bool = False) -> Tuple[np.ndarray, np.ndarray]:
    """The first of the things moves, the others stand, one in each quarter.

    Args:
        rng: Draws the rest of the scene.
        things: What to show.
        path: Of the first one.
        wall: Its side, 0 for left, 1 for right.
        sharp: Whether everything is in focus all the time.

    Returns:
        The clip, and the mask of the first thing while it moves.
    """
    near, far = SIZE / 4, SIZE * 3 / 4
    inwards = 2  # makes room for the wall
    corners = [(x, y) for x in (near + inwards, far - inwards)
               for y in (near, far)]
    places = [
        corners[i] + rng.uniform(-1.5, 1.5, 2)
        for i in rng.permutation(len(corners))
    ]
    scene = _background(rng)
    _paint_wall(rng, scene, wall)
    first_half = np.arange(FRAMES) < HALF
    blurred = [path.moving]
    blurred += [first_half ^ bool(rng.integers(2)) for _ in things[1:]]
    if sharp:
        blurred = np.zeros((len(things), FRAMES), bool)
    clip = np.repeat(scene[None], FRAMES, axis=0)
    mask = np.zeros(clip.shape[:3], bool)
    for i, frame in enumerate(clip):
        for thing, place, blur in zip(things[1:], places[1:], blurred[1:]):
            _paint(frame, thing, *place, thing.radius, blur[i])
        x, y = places[0]
        seen = _paint(frame, things[0], x + path.x[i], y + path.y[i],
                      things[0].radius + path.radius[i], blurred[0][i])
        if path.moving[i]:
            mask[i] = seen
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
    """A motion in the first or the second half of the clip."""
    now = np.arange(FRAMES) - HALF * rng.integers(2)
    moving = (0 <= now) & (now < HALF)
    time = np.clip(now + 1, 0, HALF) - HALF / 2
    still = np.zeros(FRAMES)
    speed = rng.uniform(1.6, 2.4)
    if motion in DIRECTIONS:
        angle = np.pi / 4 * DIRECTIONS.index(motion)
        return Path(speed * time * np.cos(angle), speed * time * np.sin(angle),
                    still, moving)
    start = rng.integers(2)
    if motion == 'grow':
        return Path(still, still, 0.4 * speed * time, moving)
    if motion == 'circle':
        angle = np.pi / 2 * np.clip(now, 0, HALF) * (1 - 2 * start)
        angle = angle + rng.uniform(0, 2 * np.pi)
        return Path(2 * np.cos(angle), 2 * np.sin(angle), still, moving)
    swing = moving * np.where((now + start) % 2, 2., -2.)
    if motion == 'shake':
        return Path(swing, still, still, moving)
    assert motion == 'shake upright'
    return Path(still, swing, still, moving)


def _paint(frame: np.ndarray, thing: Thing, x: float, y: float,
           radius: float, blurred: bool = False) -> np.ndarray:
    """Paints onto ``frame`` in place.

    The centre is rounded to a pixel, so that a texture stays what it is; of
    what is blurred only the mean of its two colours is left.

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
    frame[rows, cols] = (
        thing.colours.mean(axis=0)
        if blurred else thing.colours[thing.pattern[inside][seen]])
    mask = np.zeros(frame.shape[:2], bool)
    mask[rows, cols] = True
    return mask


def _paint_wall(rng: np.random.Generator, frame: np.ndarray,
                side: int) -> np.ndarray:
    """Paints a wall in broad slanted stripes, which lean to the inside.

    Args:
        rng: Draws the colours.
        frame: Changed in place.
        side: 0 for left, 1 for right.

    Returns:
        Mask ``(SIZE, SIZE)``.
    """
    y, x = np.mgrid[:SIZE, :WALL]
    wall = _colours(rng)[(x + y) // 4 % 2]
    mask = np.zeros(frame.shape[:2], bool)
    if side:
        frame[:, -WALL:], mask[:, -WALL:] = wall[:, ::-1], True
    else:
        frame[:, :WALL], mask[:, :WALL] = wall, True
    return mask


def _finish(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    return np.clip(image + NOISE * noise, 0, 255).astype(np.uint8)

