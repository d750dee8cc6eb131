import logging
import pickle
import random
import sys
import threading
import time

import pytest
from mmengine.fileio import get_file_backend

from cast_mmaction.datasets.loading import VideoInit
from cast_mmaction.datasets.video import UnreadableVideo
from cast_mmaction.storage import Store, StoreError, backends

from .conftest import KEYS
from .servers import Server

NAME = 'videos/a class/clip.3.mp4'


def quoted(name):
    return name.replace(' ', '%20')


@pytest.fixture
def content(data):
    return (data / NAME).read_bytes()


@pytest.mark.parametrize('ranges', [True, False])
def test_parts_of_files_on_a_web_server(data, content, ranges):
    with Server(data, ranges=ranges) as web:
        address = f'{web.address}/{quoted(NAME)}'
        backend = get_file_backend(
            backend_args=dict(backend='http_range', timeout=5))
        assert backend.get(address) == content
        assert backend.get(address, 7, 100) == content[7:107]
        assert backend.get(address, 7) == content[7:]
        assert backend.get(address, len(content) - 9, 100) == content[-9:]
        assert backend.get(address, len(content) + 5, 100) == b''


@pytest.mark.parametrize('faults, requests', [
    ([503, 500, 429], 4), (['cut'], 2), ([1., 503], 3), ([], 1),
])
def test_what_passes_is_waited_for(web, content, quick, faults, requests):
    web.faults += faults
    state = random.getstate()
    store = Store(dict(backend='http_range', timeout=0.3))
    assert store.read(f'{web.address}/{quoted(NAME)}') == content
    assert len(web.requests) == requests
    # Otherwise a clip would depend on the store's health.
    assert random.getstate() == state


def test_what_does_not_pass_is_named(web, quick, caplog):
    address = f'{web.address}/{quoted(NAME)}'
    web.faults += [403]
    with pytest.raises(StoreError, match='clip.3.mp4: the store refuses .403'):
        Store().read(address)
    assert len(web.requests) == 1
    web.faults += [503] * 3
    with pytest.raises(StoreError, match='503 .*3 times .*--resume goes on'):
        Store(retries=2).read(address)
    assert len(web.requests) == 4
    with pytest.raises(UnreadableVideo, match='gone.mp4: is not there'):
        Store().read(f'{web.address}/gone.mp4')
    with pytest.raises(StoreError, match='answers 418'):
        web.faults += [418]
        Store().read(address)


def test_a_trickle_is_no_answer(web, quick, monkeypatch):
    """Every piece comes in time, all of them do not."""
    monkeypatch.setattr(backends, 'MIN_RATE', 1e12)
    web.faults += ['trickle'] * 2
    store = Store(dict(backend='http_range', timeout=0.25), retries=1)
    with pytest.raises(StoreError, match='no whole answer .*, 2 times'):
        store.read(f'{web.address}/{quoted(NAME)}')


def test_a_store_that_is_started_again(data, content, monkeypatch):
    with Server(data) as web:
        port = web.port
    begun = []

    def start():
        time.sleep(0.3)
        begun.append(Server(data, port=port))

    thread = threading.Thread(target=start)
    thread.start()
    monkeypatch.setattr('cast_mmaction.storage.store.FIRST_PAUSE', 0.2)
    try:
        assert Store().read(f'{web.address}/{quoted(NAME)}') == content
    finally:
        thread.join()
        begun[0].close()


def test_secrets_are_refused_and_not_repeated(capsys):
    for options in (dict(secret='hidden-word'), dict(key='hidden-word'),
                    dict(client_kwargs=dict(
                        aws_secret_access_key='hidden-word'))):
        with pytest.raises(ValueError, match='logs and checkpoints') as error:
            VideoInit(backend_args=dict(backend='fsspec', **options))
        assert 'hidden-word' not in str(error.value)
    for address in ('https://me:hidden-word@host/a.mp4',
                    'https://host/a.mp4?X-Amz-Signature=hidden-word'):
        with pytest.raises(ValueError, match='https://host/a.mp4:') as error:
            Store().read(address)
        assert 'hidden-word' not in str(error.value)
    with pytest.raises(ValueError, match='folder and gigabytes, got folder'):
        Store(cache=dict(folder='x'))


def test_other_stores(data, content, monkeypatch):
    fsspec = pytest.importorskip('fsspec', reason='fsspec is not installed')
    fsspec.filesystem('memory').pipe_file('/b/a.mp4', content)
    store = Store(cache=None)
    assert store.read('memory://b/a.mp4') == content
    backend = get_file_backend(backend_args=dict(backend='fsspec'))
    assert backend.get('memory://b/a.mp4', 7, 9) == content[7:16]
    with pytest.raises(UnreadableVideo, match='memory://b/c.mp4: is not'):
        store.read('memory://b/c.mp4')
    with pytest.raises(ImportError, match=r"cast-mmaction\[storage\]"):
        monkeypatch.setitem(sys.modules, 'fsspec', None)
        Store().read('memory://b/a.mp4')
    with pytest.raises(ImportError, match=r"boto3.*cast-mmaction\[storage\]"):
        monkeypatch.setitem(sys.modules, 'boto3', None)
        Store().read('s3://b/a.mp4')


def test_s3(s3, data, content, quick, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    store = Store(retries=2)
    address = f's3://bucket/{NAME}'
    assert store.read(address) == content
    line = (data / 'shards/train.txt').read_text().splitlines()[4]
    member = line.rpartition(' ')[0]
    before = len(s3.requests)
    assert store.read(f's3://bucket/shards/{member}')[4:8] == b'ftyp'
    assert [x[1] for x in s3.requests[before:]][0].startswith('bytes=')
    # As processes that are not forked get it.
    assert pickle.loads(pickle.dumps(store)).read(address) == content
    slow = Store(dict(backend='boto3', timeout=0.5), retries=2)
    for faults in ([503, 500], ['cut'], [1.]):
        before = len(s3.requests)
        s3.faults += faults
        assert slow.read(address) == content
        assert len(s3.requests) - before == len(faults) + 1
    with pytest.raises(UnreadableVideo, match='gone.mp4: is not there'):
        store.read('s3://bucket/gone.mp4')
    assert get_file_backend(backend_args=dict(backend='boto3')).get(
        address, len(content) + 1, 10) == b''
    s3.faults += [403]
    with pytest.raises(StoreError, match='the store refuses'):
        store.read(address)
    for key in KEYS:
        monkeypatch.delenv(key)
    monkeypatch.setenv('HOME', '/nonexistent')
    monkeypatch.setenv('AWS_EC2_METADATA_DISABLED', 'true')
    with pytest.raises(StoreError, match='Are the credentials in the env'):
        Store().read(address)
    assert 'hidden-word' not in caplog.text
