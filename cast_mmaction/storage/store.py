"""Reading whole files and members of shards, with patience and a cache."""
import http.client
import importlib.util
import logging
import random
import time
from typing import Any, Dict, Mapping, Optional
from urllib.error import HTTPError

from mmengine.fileio import get_file_backend
from mmengine.logging import print_log

from ..datasets.video import UnreadableVideo
from .addresses import HEADER, Member, check_public, is_remote, member_of
from .backends import RangeBackend
from .cache import LocalCache

# Seconds: the first pause, the longest, and those of all attempts together.
# The loader gives a batch 600.
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.
PATIENCE = 300.
# Answers that another attempt may change.
PASSING = (408, 425, 429, 500, 502, 503, 504)
SECRETS = ('secret', 'password', 'token', 'access_key', 'credential')
# Of the pauses alone: the draws of a sample must not depend on retries.
_random = random.Random()


class StoreError(RuntimeError):
    """A store does not give what it has, which is no fault of the video."""


class Store:
    """Reads videos by address.

    Args:
        backend_args (dict, optional): As everywhere in MMEngine: ``backend``
            and its options. Defaults to None: a web server for ``http://``,
            boto3 for ``s3://`` unless the host's own client is installed,
            fsspec for others.
        cache (dict, optional): ``folder`` and ``gigabytes``: what is fetched
            is kept there, shards as a whole. Defaults to None.
        retries (int): Attempts after the first one. Defaults to 5.

    Raises:
        ValueError: If an option is wrong or a secret.
    """

    def __init__(self,
                 backend_args: Optional[Dict[str, Any]] = None,
                 cache: Optional[Dict[str, Any]] = None,
                 retries: int = 5) -> None:
        if retries < 0:
            raise ValueError(f'retries must be 0 or more, got {retries}')
        self.backend_args = dict(backend_args or {})
        _refuse_secrets(self.backend_args)
        if cache is not None and set(cache) != {'folder', 'gigabytes'}:
            raise ValueError('cache needs folder and gigabytes, got '
                             f'{", ".join(sorted(cache)) or "nothing"}')
        self.cache = None if cache is None else LocalCache(**cache)
        self.retries = retries
        self._backends: Dict[str, Any] = {}

    def read(self, address: str) -> bytes:
        """The content of a video.

        Raises:
            UnreadableVideo: If it is not there, or the shard ends before it
                or holds something else.
            StoreError: If the store refuses, or fails again and again.
        """
        check_public(address)
        member = member_of(address)
        if member is None:
            if self.cache is None:
                return self._fetch(address, address)
            return self.cache.read(address,
                                   lambda: self._fetch(address, address))
        length = HEADER + member.size
        if self.cache is None:
            data = self._fetch(member.shard, address, member.first, length)
            return content_of(member, data)
        try:
            return content_of(member, self._cached(member, length))
        except UnreadableVideo:
            # Perhaps the shard was made anew since it was fetched.
            if not self.cache.forget(member.shard):
                raise
        return content_of(member, self._cached(member, length))

    def _cached(self, member: Member, length: int) -> bytes:
        return self.cache.read(
            member.shard, lambda: self._fetch(member.shard, str(member)),
            member.first, length)

    def _fetch(self,
               address: str,
               sample: str,
               first: int = 0,
               size: Optional[int] = None) -> bytes:
        """Read a file or a part of it, more than once if need be."""
        begin = time.monotonic()
        for attempt in range(self.retries + 1):
            try:
                return self._get(address, first, size)
            except (OSError, http.client.HTTPException) as error:
                reason = _judge(error, address, sample)
                pause = _pause(attempt, error)
            passed = time.monotonic() - begin
            if attempt == self.retries or passed + pause > PATIENCE:
                break
            print_log(
                f'{address}: {reason}; attempt {attempt + 2} of '
                f'{self.retries + 1} in {pause:.1f} s',
                logger='current',
                level=logging.WARNING)
            time.sleep(pause)
        raise StoreError(
            f'{address}: {reason}, {attempt + 1} times in '
            f'{time.monotonic() - begin:.0f} s. When the store answers again, '
            '--resume goes on from the last checkpoint')

    def _get(self, address: str, first: int, size: Optional[int]) -> bytes:
        if not is_remote(address) and 'backend' not in self.backend_args:
            with open(address, 'rb') as file:
                file.seek(first)
                return file.read(-1 if size is None else size)
        backend = self._backend(address)
        if isinstance(backend, RangeBackend):
            return backend.get(address, first, size)
        data = backend.get(address)
        if data is None:  # the host's clients
            raise FileNotFoundError(address)
        data = bytes(data)
        return data[first:] if size is None else data[first:first + size]

    def _backend(self, address: str) -> Any:
        scheme = address.split('://')[0] if is_remote(address) else ''
        if scheme not in self._backends:
            args = dict(self.backend_args)
            if 'backend' not in args:
                args['backend'] = _backend_of(scheme)
            self._backends[scheme] = get_file_backend(
                address, backend_args=args)
        return self._backends[scheme]


def content_of(member: Member, data: bytes) -> bytes:
    """A member of a shard, from its header on.

    Raises:
        UnreadableVideo: If the shard ends before, or the header is another.
    """
    if len(data) < HEADER + member.size:
        raise UnreadableVideo(
            str(member), 'the shard ends before, at byte '
            f'{member.first + len(data)} or earlier: fetch or make it again')
    name = data[:100].rstrip(b'\0').decode(errors='replace')
    size = data[124:135].decode(errors='replace')
    if name != member.name or size != f'{member.size:011o}':
        raise UnreadableVideo(
            str(member), 'the shard holds something else there: the list is '
            'of other shards')
    return data[HEADER:HEADER + member.size]


def _backend_of(scheme: str) -> str:
    if scheme in ('http', 'https'):
        return 'http_range'
    if scheme.split(':')[-1] in ('s3', 'petrel'):
        own = importlib.util.find_spec('petrel_client')
        return 'petrel' if own else 'boto3'
    return 'fsspec'


def _judge(error: Exception, address: str, sample: str) -> str:
    """What an error means, if another attempt may help.

    Raises:
        UnreadableVideo: If the file is not there.
        StoreError: If no attempt can help.
    """
    code = getattr(error, 'code', None)
    if isinstance(error, FileNotFoundError) or code in (404, 410):
        raise UnreadableVideo(sample, 'is not there') from error
    if isinstance(error, PermissionError) or code in (401, 403):
        raise StoreError(
            f'{address}: the store refuses ({code or _said(error)}). Are the '
            'credentials in the environment, and may they read this? Some '
            'stores say so of what is not there') from error
    if isinstance(error, HTTPError) and code not in PASSING:
        raise StoreError(f'{address}: the store answers {code} '
                         f'({error.reason})') from error
    if code is not None:
        return f'the store answers {code} ({error.reason})'
    if isinstance(error, (IsADirectoryError, NotADirectoryError)):
        raise UnreadableVideo(sample, f'is no file ({_said(error)})') \
            from error
    return f'no whole answer ({_said(error)})'


def _said(error: Exception) -> str:
    text = getattr(error, 'strerror', None) or str(error)
    return f'{type(error).__name__}: {text}'[:200]


def _pause(attempt: int, error: Exception) -> float:
    """Twice as long each time, or as the store asks, with some chance, so
    that not all processes come back at once."""
    pause = FIRST_PAUSE * 2**attempt
    headers = getattr(error, 'headers', None)
    asked = headers.get('Retry-After', '') if headers is not None else ''
    if asked.isdecimal():
        pause = max(pause, int(asked))
    return min(pause, LONGEST_PAUSE) * _random.uniform(0.7, 1.3)


def _refuse_secrets(options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if isinstance(value, Mapping):
            _refuse_secrets(value)
        elif name == 'key' or any(word in name for word in SECRETS):
            raise ValueError(
                f'backend_args: {name} would be written into logs and '
                'checkpoints. Give credentials in the environment '
                '(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), a profile or the '
                "machine's role")
