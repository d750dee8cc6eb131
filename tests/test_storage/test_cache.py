import errno
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from cast_mmaction.storage import cache as module
from cast_mmaction.storage.cache import LocalCache


def contents(folder):
    return [x for x in folder.iterdir() if x.is_file()]


def size_of(folder):
    size = 0
    for path in contents(folder):
        try:
            size += path.stat().st_size
        except FileNotFoundError:  # it went just now
            continue
    return size


def use(task):
    """Reads 40 files, the same in every process; notes what it fetched."""
    folder, gigabytes, start = task
    cache, most = LocalCache(folder, gigabytes), 0
    for step in range(120):
        number = (start + step) % 40

        def fetch():
            with open(f'{folder}.fetched', 'a') as file:
                file.write(f'{number}\n')
            return bytes([number]) * 1000

        part = cache.read(f's3://b/{number}', fetch, 10, 20)
        assert part == bytes([number]) * 20
        most = max(most, size_of(cache.folder))
    return most


@pytest.mark.parametrize('gigabytes', [100e-6, 25e-6])
def test_many_processes_share_a_folder(tmp_path, gigabytes):
    folder = str(tmp_path / 'cache')
    with ProcessPoolExecutor(4, get_context('fork')) as pool:
        most = max(pool.map(use, [(folder, gigabytes, x) for x in
                                  (0, 0, 13, 26)]))
    fetched = (tmp_path / 'cache.fetched').read_text().split()
    if gigabytes == 100e-6:  # it holds all: each comes once
        assert sorted(map(int, fetched)) == list(range(40))
    assert most <= 1e9 * gigabytes + 4 * 1000  # being written
    assert size_of(tmp_path / 'cache') <= 1e9 * gigabytes


def test_what_was_not_used_for_longest_goes(tmp_path):
    cache = LocalCache(str(tmp_path), 3.5e-6)
    for name in 'abc':
        cache.read(name, lambda: b'x' * 1000)
        os.utime(cache.path(name), (1e9, 1e9 + ord(name)))
    cache.read('a', lambda: pytest.fail('is here'))  # used now
    cache.read('d', lambda: b'x' * 1000)
    here = [name for name in 'abcd' if cache.path(name).exists()]
    assert here == ['a', 'c', 'd']
    assert cache.forget('a') and not cache.forget('a')


def test_what_is_too_large_is_not_kept(tmp_path):
    cache = LocalCache(str(tmp_path), 1e-6)
    assert cache.read('a', lambda: b'x' * 2000, 1990) == b'x' * 10
    assert not contents(tmp_path)
    with pytest.raises(ValueError, match='gigabytes must be positive'):
        LocalCache(str(tmp_path), 0)


def test_a_full_disk_costs_no_training(tmp_path, monkeypatch):

    def full(path):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(module, 'atomic_write', full)
    cache = LocalCache(str(tmp_path), 1.)
    for _ in range(2):
        assert cache.read('a', lambda: b'content') == b'content'


def test_what_a_killed_process_left_goes(tmp_path):
    old, new = tmp_path / '.a.tmp', tmp_path / '.b.tmp'
    for path in (old, new):
        path.write_bytes(b'x' * 900)
    os.utime(old, (1e9, 1e9))
    LocalCache(str(tmp_path), 1e-6).read('c', lambda: b'x' * 900)
    assert not old.exists() and new.exists()
