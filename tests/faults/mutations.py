"""Files damaged by chance, the same ones for the same number."""
import random
from typing import Callable, List

Damage = Callable[[bytes, random.Random], bytes]


def flip_bits(data: bytes, draw: random.Random) -> bytes:
    """One to eight bits, anywhere."""
    changed = bytearray(data)
    for _ in range(draw.randint(1, 8)):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def flip_head(data: bytes, draw: random.Random) -> bytes:
    """Bytes of the beginning, where containers describe themselves."""
    changed = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        changed[draw.randrange(min(len(changed), 600))] = draw.randrange(256)
    return bytes(changed)


def flip_tail(data: bytes, draw: random.Random) -> bytes:
    """Bytes of the end, where MP4 and AVI have their index."""
    return flip_head(data[::-1], draw)[::-1]


def cut(data: bytes, draw: random.Random) -> bytes:
    """The end is missing."""
    return data[:draw.randrange(len(data))]


def lose(data: bytes, draw: random.Random) -> bytes:
    """A stretch in the middle is missing."""
    start = draw.randrange(len(data))
    return data[:start] + data[start + draw.randint(1, 64):]


def insert(data: bytes, draw: random.Random) -> bytes:
    """A stretch of anything is there that was not."""
    place = draw.randrange(len(data))
    return data[:place] + draw.randbytes(draw.randint(1, 64)) + data[place:]


def blank(data: bytes, draw: random.Random) -> bytes:
    """A stretch reads as zeros or ones, as after a power cut."""
    start = draw.randrange(len(data))
    size = min(draw.choice((4, 64, 512)), len(data) - start)
    return data[:start] + draw.choice((b'\0', b'\xff')) * size + \
        data[start + size:]


def repeat(data: bytes, draw: random.Random) -> bytes:
    """A stretch is there twice."""
    start = draw.randrange(len(data))
    stretch = data[start:start + draw.randint(1, 512)]
    return data[:start] + stretch + data[start:]


def large_number(data: bytes, draw: random.Random) -> bytes:
    """Four bytes become a size beyond all sizes, or a negative one."""
    place = draw.randrange(max(len(data) - 4, 1))
    number = draw.choice((2**31 - 1, 2**31, 2**32 - 1, 2**24, 0))
    return data[:place] + number.to_bytes(
        4, draw.choice(('big', 'little'))) + data[place + 4:]


def not_utf8(data: bytes, draw: random.Random) -> bytes:
    """A stretch of text in another encoding."""
    places = [i for i in range(len(data) - 3) if data[i:i + 3].isalpha()]
    if not places:
        return flip_bits(data, draw)
    place = draw.choice(places)
    return data[:place] + b'\xe9\xff\xc0' + data[place + 3:]


BINARY: List[Damage] = [
    flip_bits, flip_head, flip_tail, cut, lose, insert, blank, repeat,
    large_number, not_utf8
]
