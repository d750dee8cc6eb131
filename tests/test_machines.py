"""Machines that share nothing but a network.

Each is a process with a folder, a config and a work dir of its own.
"""
import os
import re
import signal
import time

import numpy as np
import pytest
from mmengine.config import Config

from cast_mmaction.engine.resume import keep_step
from cast_mmaction.evaluation.dumps import read_samples
from tests.machines import Machines
from tests.toy import ROOT, assert_same, curve, toy_config, weights

pytestmark = pytest.mark.slow
TRAIN = (ROOT / 'tools/train.py', 'run.py')
TEST = (ROOT / 'tools/test.py', 'run.py')
TOGETHER = ('--launcher', 'pytorch')
EVALUATORS = [
    dict(type='ToyAccuracy'),
    dict(type='AccMetric', prefix='host', metric_options=dict(
        top_k_accuracy=dict(topk=(1, 2)))),
    dict(type='ClipAccuracy', prefix='ours', metric_options=dict(
        top_k_accuracy=dict(topk=(1, 2)))),
    dict(type='ConfusionMatrix', num_classes=3, prefix='matrix'),
]


@pytest.fixture(scope='module')
def machines():
    server = Machines()
    yield server
    server.close()


def machine(folder, name, batch=2, **changes):
    """A folder with a config, whose work dir has the name of the machine."""
    place = folder / name
    place.mkdir()
    cfg = toy_config(f'runs-{name}', batch=batch, **{
        'test_evaluator': EVALUATORS,
        'custom_hooks': [dict(type='Accident')],
        **changes
    })
    cfg.pop('experiment_name')
    cfg.dump(place / 'run.py')
    return place


def log(place):
    return (place / 'out.txt').read_text()


def dumped(path):
    return read_samples(str(path))


def assert_equal_samples(left, right, tolerance=0):
    assert len(left) == len(right)
    for one, other in zip(left, right):
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_allclose(
                one[key], other[key], rtol=tolerance, atol=tolerance)


@pytest.fixture(scope='module')
def single(machines, tmp_path_factory):
    """One process: a training, and the learning rate by clips."""
    place = machine(tmp_path_factory.mktemp('single'), 'one', batch=4)
    assert machines.run([place], *TRAIN, RATES='rates.txt') == [0], log(place)
    return place


@pytest.fixture(scope='module')
def pair(machines, tmp_path_factory):
    """Two machines, killed in the second epoch, that went on."""
    folder = tmp_path_factory.mktemp('pair')
    places = [machine(folder, name) for name in 'ab']
    ends = machines.run(
        places, *TRAIN, *TOGETHER, ACCIDENT='train:9:SIGKILL')
    assert ends == [-signal.SIGKILL] * 2, log(places[1])
    ends = machines.run(places, *TRAIN, *TOGETHER, '--resume')
    assert ends == [0, 0], log(places[1])
    return places


def test_two_machines_equal_one(single, pair):
    """Train, validate, die, resume. Only the first has a checkpoint."""
    first, second = (x / f'runs-{x.name}' for x in pair)
    assert_same(
        weights(single / 'runs-one/epoch_3.pth'),
        weights(first / 'epoch_3.pth'),
        rtol=1e-5,
        atol=1e-6)
    best = 'best_checkpoints.json'
    assert (first / best).read_text() == (
        single / 'runs-one' / best).read_text()
    assert not list(second.glob('*.pth'))
    assert not any((x / '.dist_test').exists() for x in pair)


def test_metrics_and_dump_equal_one(machines, single, pair):
    """Also where the samples do not come out even."""
    checkpoint = pair[0] / 'runs-a/epoch_3.pth'
    options = ('--dump', 'out.pkl', '--cfg-options', 'log_level=INFO',
               'test_dataloader.dataset.length=23')
    assert machines.run([single], *TEST, checkpoint, *options) == [0]
    # The second one has no such file.
    ends = machines.run(pair, *TEST, 'runs-a/epoch_3.pth', *TOGETHER, *options)
    assert ends == [0, 0], log(pair[1])
    assert_equal_samples(
        dumped(single / 'out.pkl'), dumped(pair[0] / 'out.pkl'), 1e-6)
    assert len(dumped(single / 'out.pkl')) == 23
    assert not (pair[1] / 'out.pkl').exists()
    figures = [[line.partition('acc/top1')[2].partition('data_time')[0]
                for line in log(place).splitlines() if 'acc/top1' in line][-1]
               for place in (single, pair[0])]
    assert figures[0] == figures[1] != ''


@pytest.mark.parametrize('changes, options, message', [
    ({'optim_wrapper.optimizer.lr': .02}, [],
     r'optim_wrapper.optimizer.lr is 0.02 on process 1 on \S+, and 0.01 on '
     'process 0 on'),
    ({'model.width': 8}, [], 'model.width is 8 on process 1 .*nothing on'),
    ({}, ['--resume'], 'resume is True on process 1 .*False on process 0'),
])
def test_started_differently(machines, tmp_path, changes, options, message):
    places = [machine(tmp_path, 'a'), machine(tmp_path, 'b', **changes)]
    ends = machines.run(places, *TRAIN, *TOGETHER, each=[[], options])
    assert ends == [1, 1]
    for place in places:
        assert 'the processes of one run were started differently' in log(
            place)
        assert re.search(message, log(place))


def test_other_lists(machines, tmp_path):
    places = []
    for name, lines in (('a', 'x.mp4 0'), ('b', 'x.mp4 1')):
        places.append(machine(tmp_path, name, **{
            'train_dataloader.dataset.ann_file': 'train.txt'}))
        (places[-1] / 'train.txt').write_text(lines)
    assert machines.run(places, *TRAIN, *TOGETHER) == [1, 1]
    for place in places:
        assert re.search(
            r'the list of train_dataloader is 24 samples \(train.txt, sha256 '
            r'\w+\) on process 1 .*, and 24 samples', log(place))


def test_only_the_second_has_a_checkpoint(machines, pair, tmp_path):
    """Who decides has nothing: neither starts anew without a word."""
    places = [machine(tmp_path, 'a'), pair[0]]
    assert machines.run(places, *TRAIN, *TOGETHER, '--resume') == [1, 1]
    for place in places:
        assert re.search(r'process 1 .* would go on from \S+runs-a/epoch_3.pth'
                         ', but process 0', log(place))


@pytest.fixture(scope='module')
def tests(machines, pair, tmp_path_factory):
    """Two machines that test, and what an undisturbed test has dumped."""
    folder = tmp_path_factory.mktemp('tests')
    places = [
        machine(folder, name, **{
            'test_cfg.keep_every': 0.,
            'test_dataloader.dataset.length': 23
        }) for name in 'ab'
    ]
    words = (*TEST, pair[0] / 'runs-a/epoch_3.pth', '--dump', 'out.pkl')
    ends = machines.run(places, *words, *TOGETHER)
    assert ends == [0, 0], log(places[0])
    return places, words, dumped(places[0] / 'out.pkl')


def parts(place):
    return sorted(place.glob('runs-*/test_parts/*/*.pkl'))


@pytest.mark.parametrize('then', [2, 1])
def test_a_killed_test_goes_on(machines, tests, then):
    """To the bit, and by fewer processes."""
    places, words, undisturbed = tests
    (places[0] / 'out.pkl').unlink(missing_ok=True)
    ends = machines.run(
        places, *words, *TOGETHER, ACCIDENT='test:3:SIGKILL')
    assert ends == [-signal.SIGKILL] * 2
    assert len(parts(places[0])) == len(parts(places[1])) == 3
    # What a disk has lost is done again.
    damaged = parts(places[0])[1]
    damaged.write_bytes(damaged.read_bytes()[:-9])
    ends = machines.run(places[:then], *words, *TOGETHER)
    assert ends == [0] * then, log(places[0])
    assert f'{3 * then - 1} of 12 batches are done' in log(places[0])
    assert 'is not used, its batches are done again' in log(places[0])
    assert_equal_samples(dumped(places[0] / 'out.pkl'), undisturbed)
    assert not parts(places[0])
    for part in parts(places[1]):  # of the machine that was left out
        part.unlink()


def test_a_test_that_gets_a_signal_goes_on(machines, tests, single):
    places, words, _ = tests
    often = ('--cfg-options', 'test_cfg.keep_every=1000')
    assert machines.run(places[:1], *words, *often) == [0]
    undisturbed = dumped(places[0] / 'out.pkl')
    ends = machines.run(
        places[:1], *words, *often, ACCIDENT='test:7:SIGTERM')
    assert ends == [128 + signal.SIGTERM], log(places[0])
    part, = parts(places[0])

    other = [*words]
    other[2] = single / 'runs-one/epoch_3.pth'
    assert machines.run(places[:1], *other, *often) == [0]
    assert 'holds parts of another test (another checkpoint)' in log(places[0])
    assert parts(places[0]) == [part]

    assert machines.run(places[:1], *words, *often) == [0]
    assert '7 of 12 batches are done' in log(places[0])
    assert_equal_samples(dumped(places[0] / 'out.pkl'), undisturbed)
    assert not list(places[0].glob('runs-a/test_parts*'))


def test_a_hanging_process(machines, tmp_path):
    """The other one gives up after the time that the config states."""
    places = [machine(tmp_path, name) for name in 'ab']
    pids = machines.start(places, *TRAIN, *TOGETHER, '--cfg-options',
                          'env_cfg.dist_cfg.timeout=4', HANG='1')
    began = time.monotonic()
    assert machines.wait(pids[:1]) == [1]
    assert time.monotonic() - began < 60
    assert '4000ms' in log(places[0])
    os.kill(pids[1], signal.SIGKILL)
    machines.wait(pids[1:])


def test_more_and_fewer_processes_keep_the_curve(machines, single, tmp_path):
    """2, 1, 2 processes: learning rates over clips as if undisturbed."""
    places = [machine(tmp_path, name) for name in 'ab']
    stopped = [128 + signal.SIGTERM]
    launch = dict(RATES='rates.txt', CAST_PROCESSES='2')
    ends = machines.run(
        places, *TRAIN, *TOGETHER, **launch, ACCIDENT='train:7:SIGTERM')
    assert ends == stopped * 2, log(places[0])
    ends = machines.run(places[:1], *TRAIN, *TOGETHER, '--resume', **launch,
                        ACCIDENT='train:21:SIGTERM')
    assert ends == stopped, log(places[0])
    ends = machines.run(places, *TRAIN, *TOGETHER, '--resume', **launch)
    assert ends == [0, 0], log(places[0])
    changed, whole = (curve(x / 'rates.txt') for x in (places[0], single))
    assert {clips for clips, _ in changed.values()} == {2, 4}
    assert {x: changed[x][1] for x in whole} == {
        x: rate for x, (_, rate) in whole.items()
    }
    assert len(whole) == 18
    assert_same(
        weights(single / 'runs-one/epoch_3.pth'),
        weights(places[0] / 'runs-a/epoch_3.pth'),
        rtol=1e-5,
        atol=1e-6)


def test_a_step_that_cannot_be_shared_out(monkeypatch):
    for meant, counts, expected in ((4, 1, 2), (4, 3, 6), (3, 2, 3),
                                    (3, 1, 1), (2, 5, 5)):
        monkeypatch.setenv('CAST_PROCESSES', str(meant))
        monkeypatch.setenv('WORLD_SIZE', '2')
        cfg = Config(dict(optim_wrapper=dict(accumulative_counts=counts)))
        keep_step(cfg)
        assert cfg.optim_wrapper.accumulative_counts == expected
