import logging

import pytest

from cast_mmaction.preparation.shards import read_samples, write_shards
from cast_mmaction.storage import store
from tests.faults.videos import write_video

from .servers import Server

KEYS = dict(AWS_ACCESS_KEY_ID='somebody', AWS_SECRET_ACCESS_KEY='hidden-word',
            AWS_DEFAULT_REGION='us-east-1')


@pytest.fixture
def quick(monkeypatch):
    """Pauses of milliseconds."""
    monkeypatch.setattr(store, 'FIRST_PAUSE', 0.005)
    monkeypatch.setattr(store, 'LONGEST_PAUSE', 0.05)


@pytest.fixture(scope='session')
def data(tmp_path_factory):
    """Eleven videos of other lengths in bytes, their list, and shards."""
    root = tmp_path_factory.mktemp('stored')
    (root / 'videos/a class').mkdir(parents=True)
    lines = []
    for number in range(11):
        name = f'a class/clip.{number}.mp4'
        write_video(root / 'videos' / name, 'mpeg4', 'yuv420p',
                    dict(g=str(number + 1)))
        lines.append(f'{name} {number % 3}')
    (root / 'list.txt').write_text('\n'.join(lines) + '\n')
    samples = read_samples(str(root / 'list.txt'), str(root / 'videos'))
    write_shards(samples, str(root / 'shards'), 'train',
                 megabytes=3.2 * samples[0].size / 1e6)
    return root


@pytest.fixture
def web(data):
    with Server(data) as server:
        yield server


@pytest.fixture(scope='session')
def moto():
    """An S3 server; its address."""
    server = pytest.importorskip(
        'moto.server', reason='moto[server] is not installed')
    thread = server.ThreadedMotoServer(port=0, verbose=False)
    thread.start()
    logging.getLogger('werkzeug').setLevel(logging.WARNING)
    host, port = thread.get_host_and_port()
    yield f'{host}:{port}'
    thread.stop()


@pytest.fixture
def s3(data, moto, monkeypatch):
    """The data in a bucket, behind a server that can fail."""
    boto3 = pytest.importorskip('boto3', reason='boto3 is not installed')
    for key, value in KEYS.items():
        monkeypatch.setenv(key, value)
    client = boto3.client('s3', endpoint_url=f'http://{moto}')
    client.create_bucket(Bucket='bucket')
    for path in data.rglob('*'):
        if path.is_file():
            client.upload_file(str(path), 'bucket',
                               str(path.relative_to(data)))
    with Server(upstream=moto) as server:
        monkeypatch.setenv('AWS_ENDPOINT_URL', server.address)
        yield server
