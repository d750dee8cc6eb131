"""What a test is cut into, and tests that cannot be gone on with."""
from argparse import Namespace

import pytest
from mmaction.registry import DATA_SAMPLERS
from mmengine.dataset import DefaultSampler
from mmengine.runner import Runner
from torch.utils.data import Sampler

from cast_mmaction.engine import test_loop as module
from cast_mmaction.engine.test_loop import Plan
from tests.toy import ToyAccuracy, toy_config


def share(monkeypatch, samples, batch, processes, world, done=()):
    """The batches of every process, and how many of them count."""
    plans = []
    for rank in range(world):
        monkeypatch.setattr(module, 'get_rank', lambda: rank)
        monkeypatch.setattr(module, 'get_world_size', lambda: world)
        plan = Plan(DefaultSampler(range(samples), shuffle=False), batch)
        plan.divide(processes, set(done))
        plans.append((plan.cut, plan.numbers, plan.wanted, list(plan)))
    return plans


@pytest.mark.parametrize('samples, batch, world', [(24, 2, 2), (23, 2, 2),
                                                   (7, 4, 3), (1, 1, 4),
                                                   (1000, 3, 64),
                                                   (9668, 4, 256)])
def test_batches_are_those_of_the_host(monkeypatch, samples, batch, world):
    """Without the samples that fill them up there; each is done once."""
    seen = []
    for rank, (_, numbers, wanted, batches) in enumerate(
            share(monkeypatch, samples, batch, world, world)):
        mine = list(range(rank, samples, world))
        assert batches[:wanted] == [
            mine[i:i + batch] for i in range(0, len(mine), batch)
        ]
        assert len(batches) == -(-(-(-samples // world)) // batch)
        seen += [x for part in batches[:wanted] for x in part]
    assert sorted(seen) == list(range(samples))


@pytest.mark.parametrize('world', [1, 2, 5])
def test_what_is_left_is_shared(monkeypatch, world):
    whole = share(monkeypatch, 101, 3, 4, 4)[0][0]
    done = set(list(whole)[::3])
    plans = share(monkeypatch, 101, 3, 4, world, done)
    assert len({len(batches) for *_, batches in plans}) == 1
    numbers = [x for _, mine, wanted, _ in plans for x in mine[:wanted]]
    assert sorted([*numbers, *done]) == sorted(whole)
    for cut, mine, _, batches in plans:
        assert cut == whole
        assert batches == [list(whole[number]) for number in mine]


def run(work_dir, monkeypatch, **changes):
    """A test that is stopped, and another; batches of the latter and what
    was said."""
    changes.setdefault('test_cfg.keep_every', 0.)
    said, seen = [], []
    for stop_at in (3, None):
        runner = Runner.from_cfg(
            toy_config(work_dir, without='preemption', **changes))
        monkeypatch.setattr(runner.logger, 'warning', said.append)
        monkeypatch.setattr(runner.logger, 'info', said.append)
        step, seen = runner.model.test_step, []

        def stop(batch):
            if len(seen) == stop_at:
                raise KeyboardInterrupt
            seen.append(len(batch['inputs']))
            return step(batch)

        monkeypatch.setattr(runner.model, 'test_step', stop)
        if stop_at:
            with pytest.raises(KeyboardInterrupt):
                runner.test()
        else:
            figures = runner.test()
    assert not (work_dir / 'test_parts').exists()
    return seen, figures['acc/top1'], ' '.join(map(str, said))


def test_goes_on(tmp_path, monkeypatch):
    seen, figure, said = run(tmp_path, monkeypatch)
    assert seen == [4] * 3 and '3 of 6 batches are done' in said
    whole = run(tmp_path, monkeypatch, **{'test_cfg.keep_every': None})
    assert whole == ([4] * 6, figure, whole[2])


@DATA_SAMPLERS.register_module()
class Backwards(Sampler):
    """An order that nothing is known of beforehand."""

    def __init__(self, dataset, **kwargs):
        self.length = len(dataset)

    def __len__(self):
        return self.length

    def __iter__(self):
        return iter(range(self.length)[::-1])


def test_another_order_starts_anew(tmp_path, monkeypatch):
    seen, _, said = run(tmp_path, monkeypatch,
                        **{'test_dataloader.sampler.type': 'Backwards'})
    assert seen == [4] * 6
    assert 'starts anew if it is stopped: its order depends' in said


def test_metrics_with_more_than_results_start_anew(tmp_path, monkeypatch):

    def process(self, data_batch, data_samples):
        self.truths[len(self.truths)] = data_samples
        self.results += [1.] * len(data_samples)

    create = ToyAccuracy.__init__

    def init(self, **kwargs):
        create(self, **kwargs)
        self.truths = {}

    monkeypatch.setattr(ToyAccuracy, '__init__', init)
    monkeypatch.setattr(ToyAccuracy, 'process', process)
    seen, _, said = run(tmp_path, monkeypatch)
    assert len(seen) == 6
    assert 'starts anew if it is stopped: losses or metrics keep more' in said


def test_results_that_are_no_plain_data_start_anew(tmp_path, monkeypatch):

    def process(self, data_batch, data_samples):
        self.results += [Namespace(hit=1.)] * len(data_samples)

    monkeypatch.setattr(ToyAccuracy, 'process', process)
    monkeypatch.setattr(ToyAccuracy, 'compute_metrics',
                        lambda self, results: dict(top1=results[0].hit))
    seen, _, said = run(tmp_path, monkeypatch)
    assert len(seen) == 6
    assert 'it holds a argparse.Namespace, which is more than data' in said
