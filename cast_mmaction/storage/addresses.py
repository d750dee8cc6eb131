"""How videos elsewhere are called, and videos inside of shards.

``s3://bucket/a.mp4`` is a file of a store;
``s3://bucket/train-000007.tar#1536+83212/00000412_abc.mp4`` is 83,212 bytes of
a shard, whose tar header begins at byte 1,536.
"""
import re
from typing import NamedTuple, Optional
from urllib.parse import urlsplit

HEADER = 512  # bytes of a tar header, and what sizes are rounded to
MEMBER = re.compile(r'(.+\.tar)#(\d{1,18})\+(\d{1,18})/([^/]+)', re.ASCII)


class Member(NamedTuple):
    """A file inside of a shard.

    Attributes:
        shard: Address of the shard.
        first: Byte that its header begins with.
        size: Bytes of the file.
        name: As the header says it.
    """
    shard: str
    first: int
    size: int
    name: str

    def __str__(self) -> str:
        return f'{self.shard}#{self.first}+{self.size}/{self.name}'


def member_of(address: str) -> Optional[Member]:
    """The parts of an address inside of a shard; None for another one."""
    match = MEMBER.fullmatch(address)
    if match is None:
        return None
    return Member(match[1], int(match[2]), int(match[3]), match[4])


def is_remote(address: str) -> bool:
    """Whether an address is not a path of this machine."""
    return '://' in address


def is_plain(address: str) -> bool:
    """Whether an address is a path of this machine, outside of shards."""
    return not is_remote(address) and member_of(address) is None


def check_public(address: str) -> None:
    """Refuse addresses that carry a password or a signature.

    Raises:
        ValueError: It does not repeat the secret.
    """
    if not address.startswith(('http://', 'https://')):
        return
    parts = urlsplit(address)
    if parts.username or parts.password or parts.query:
        raise ValueError(
            f'{parts.scheme}://{parts.hostname}{parts.path}: the address '
            'carries a password or a signature, which would be written into '
            'logs and checkpoints. Let the server know this machine, or read '
            'from the store itself (s3://...) with credentials from the '
            'environment')
