"""Backends for MMEngine's file layer that read parts of files.

MMEngine's own read whole files only, wait for an answer for ever, and its
S3 is a client that is not published.
"""
import http.client
import os
import time
from abc import abstractmethod
from email.message import Message
from typing import Any, Callable, Dict, Optional
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

from mmengine.fileio import BaseStorageBackend, register_backend

# Bytes a second; what is slower than this is as good as no answer.
MIN_RATE = 1_000_000
BLOCK = 2**18
PAST_THE_END = 416  # HTTP
# What is left as it is in the path of an address.
SAFE = "/%:@!$&'()*+,;=~"
EXTRA = "pip install 'cast-mmaction[storage]'"


class RangeBackend(BaseStorageBackend):
    """A backend whose ``get`` can be asked for a part."""

    def __init__(self) -> None:
        # By process, which cannot use those of its parent.
        self._connections: Dict[Any, Any] = {}

    def __getstate__(self) -> dict:
        return dict(self.__dict__, _connections={})

    @abstractmethod
    def get(self,
            filepath: str,
            first: int = 0,
            size: Optional[int] = None) -> bytes:
        """Read a file.

        Args:
            filepath (str): Its address.
            first (int): Byte to begin with.
            size (int, optional): Bytes to read; fewer come where the file
                ends before. Defaults to None, all.

        Raises:
            OSError: What the store says.
        """

    def get_text(self, filepath: str, encoding: str = 'utf-8') -> str:
        """Read a text."""
        return self.get(filepath).decode(encoding)


@register_backend('http_range')
class RangeHTTPBackend(RangeBackend):
    """Files of a web server.

    Args:
        timeout (float): Seconds without an answer. Defaults to 30.
    """

    def __init__(self, timeout: float = 30.) -> None:
        super().__init__()
        self.timeout = timeout

    def get(self,
            filepath: str,
            first: int = 0,
            size: Optional[int] = None) -> bytes:
        """See :meth:`RangeBackend.get`."""
        part = _range(first, size)
        headers = dict(Range=part) if part else {}
        url = urlsplit(filepath)
        url = url._replace(path=quote(url.path, safe=SAFE)).geturl()
        try:
            with urlopen(
                    Request(url, headers=headers),
                    timeout=self.timeout) as answer:
                # Servers may send all of it whatever they are asked.
                skip = first if part and answer.status == 200 else 0
                most = None if size is None else skip + size
                expected = answer.length
                if most is not None:
                    expected = min(most, expected or most)
                return _read(answer.read1, expected, self.timeout)[skip:]
        except HTTPError as error:
            error.close()
            if part and error.code == PAST_THE_END:
                return b''
            raise


@register_backend('boto3')
class Boto3Backend(RangeBackend):
    """Files of S3, and of what speaks its language.

    Credentials come from the environment, a profile or the machine's role,
    never from here: a config is written into logs and checkpoints.

    Args:
        timeout (float): Seconds without an answer. Defaults to 30.
        anonymous (bool): For public buckets. Defaults to False.
        **options: Of boto3's client, such as ``endpoint_url``.

    Raises:
        ImportError: If boto3 is not installed.
    """

    def __init__(self,
                 timeout: float = 30.,
                 anonymous: bool = False,
                 **options: Any) -> None:
        super().__init__()
        self.timeout = timeout
        self.anonymous = anonymous
        self.options = options

    def get(self,
            filepath: str,
            first: int = 0,
            size: Optional[int] = None) -> bytes:
        """See :meth:`RangeBackend.get`."""
        client = self._client()
        from botocore.exceptions import BotoCoreError, ClientError
        bucket, _, key = filepath.split('://', 1)[1].partition('/')
        part = _range(first, size)
        try:
            answer = client.get_object(
                Bucket=bucket, Key=key, **(dict(Range=part) if part else {}))
            return _read(answer['Body'].read, answer['ContentLength'],
                         self.timeout)
        except ClientError as error:
            facts = error.response['ResponseMetadata']
            code = facts['HTTPStatusCode']
            if part and code == PAST_THE_END:
                return b''
            headers = Message()
            for name, value in facts.get('HTTPHeaders', {}).items():
                headers[name] = value
            raise HTTPError(filepath, code, error.response['Error']['Code'],
                            headers, None) from error
        except BotoCoreError as error:
            raise _meaning(error) from error

    def _client(self) -> Any:
        if os.getpid() not in self._connections:
            try:
                import boto3
                from botocore import UNSIGNED
                from botocore.config import Config
            except ImportError as error:
                raise ImportError(f's3:// needs boto3 ({error}): {EXTRA}') \
                    from error
            signed = dict(signature_version=UNSIGNED) if self.anonymous else {}
            config = Config(
                connect_timeout=self.timeout,
                read_timeout=self.timeout,
                retries=dict(total_max_attempts=1),  # the store's concern
                **signed)
            self._connections[os.getpid()] = boto3.session.Session().client(
                's3', config=config, **self.options)
        return self._connections[os.getpid()]


@register_backend('fsspec')
class FsspecBackend(RangeBackend):
    """Files of any store that fsspec knows: ``gs://``, ``az://``, ``hdfs://``.

    Credentials as for :class:`Boto3Backend`; fsspec has time limits and
    attempts of its own.

    Args:
        **options: Of fsspec's file system.

    Raises:
        ImportError: If fsspec, or what it needs for this store, is missing.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.options = options

    def get(self,
            filepath: str,
            first: int = 0,
            size: Optional[int] = None) -> bytes:
        """See :meth:`RangeBackend.get`."""
        system = self._system(filepath.split('://')[0])
        end = None if size is None else first + size
        try:
            return system.cat_file(filepath, first or None, end)
        except OSError:
            raise
        except Exception as error:  # every store has errors of its own
            raise _meaning(error) from error

    def _system(self, scheme: str) -> Any:
        key = os.getpid(), scheme
        if key not in self._connections:
            try:
                import fsspec
                self._connections[key] = fsspec.filesystem(
                    scheme, skip_instance_cache=True, **self.options)
            except ImportError as error:
                raise ImportError(f'{scheme}:// needs a package that is not '
                                  f'installed ({error}): {EXTRA}') from error
        return self._connections[key]


def _range(first: int, size: Optional[int]) -> str:
    """The header of a request for a part; '' for all."""
    if first == 0 and size is None:
        return ''
    return f'bytes={first}-{"" if size is None else first + size - 1}'


def _read(read: Callable[[int], bytes], expected: Optional[int],
          timeout: float) -> bytes:
    """Read an answer, as long as it comes fast enough."""
    deadline = time.monotonic() + timeout + (expected or 0) / MIN_RATE
    parts, left = [], expected
    while left is None or left > 0:
        part = read(BLOCK if left is None else min(BLOCK, left))
        if not part:
            break
        parts.append(part)
        left = None if left is None else left - len(part)
        if time.monotonic() > deadline and left != 0:
            raise TimeoutError('slower than a megabyte a second')
    if left:
        raise http.client.IncompleteRead(b'', left)
    return b''.join(parts)


def _meaning(error: Exception) -> OSError:
    """A client's own error as one of Python's."""
    kind = type(error).__name__
    wrong = 'Credentials' in kind or 'Token' in kind
    return (PermissionError if wrong else ConnectionError)(f'{kind}: {error}')
