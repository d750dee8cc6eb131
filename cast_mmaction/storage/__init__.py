"""Videos from disks, web servers and object stores, alone or in shards."""
from .backends import Boto3Backend, FsspecBackend, RangeHTTPBackend
from .store import Store, StoreError

__all__ = [
    'Boto3Backend', 'FsspecBackend', 'RangeHTTPBackend', 'Store', 'StoreError'
]
