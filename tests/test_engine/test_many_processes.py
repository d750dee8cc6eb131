"""What can be said of 16, 64 and 256 processes without starting them."""
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from mmengine.dataset import DefaultSampler, sampler as host_sampler
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch.distributed.optim import ZeroRedundancyOptimizer

from cast_mmaction.engine import FullyShardedModel
from cast_mmaction.engine.sharding import check_strategy, local

PROCESSES = (16, 64, 256)


@pytest.fixture
def group():
    """Makes this process one of many, of whom the others do not exist:
    nothing arrives."""
    fake = pytest.importorskip('torch.testing._internal.distributed.fake_pg')

    def join(rank, count):
        if dist.is_initialized():
            dist.destroy_process_group()
        dist.init_process_group(
            'fake', store=fake.FakeStore(), rank=rank, world_size=count)

    yield join
    if dist.is_initialized():
        dist.destroy_process_group()


@pytest.mark.parametrize('count', PROCESSES)
@pytest.mark.parametrize('clips', [240_436, 1000, 100])
def test_shares_of_an_epoch(monkeypatch, count, clips):
    """Each clip is somebody's, and the first clips of the common order are
    done first: another number of processes can go on there."""
    shares = []
    for rank in range(count):
        monkeypatch.setattr(host_sampler, 'get_dist_info',
                            lambda rank=rank: (rank, count))
        sampler = DefaultSampler(range(clips), shuffle=False)
        share = torch.tensor(list(sampler))
        assert len(sampler) == len(share) == -(-clips // count)
        shares.append(share)
    together = torch.stack(shares, dim=1).flatten()
    assert torch.equal(together[:clips], torch.arange(clips))
    again = torch.arange(len(together) - clips) % clips  # to fill up
    assert torch.equal(together[clips:], again)


@pytest.mark.parametrize('count', (1, *PROCESSES))
def test_learning_rate(count):
    """In proportion to the clips of an optimizer step."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    wrapper = OptimWrapper(
        torch.optim.AdamW([parameter], lr=1e-3), accumulative_counts=6)
    runner = SimpleNamespace(
        logger=MMLogger.get_instance('many'),
        world_size=count,
        param_schedulers=None,
        _train_dataloader=dict(batch_size=6))
    Runner.scale_lr(
        runner, wrapper,
        dict(enable=True, base_batch_size=256, count_accumulation=True))
    assert wrapper.optimizer.param_groups[0]['lr'] == pytest.approx(
        1e-3 * count * 6 * 6 / 256)


def test_what_each_process_holds(group):
    """Of FSDP a share of every tensor, also where there is not enough."""
    for count in PROCESSES:
        held = {}
        for rank in (0, 1, count - 1):
            group(rank, count)
            model = torch.nn.Sequential(
                torch.nn.Linear(96, 640), torch.nn.Linear(640, 8))
            optimizer = torch.optim.AdamW(model.parameters())
            FullyShardedModel(model).shard(optimizer)
            held[rank] = [len(local(x)) for x in model.parameters()]
            shapes = [len(x) for x in model.parameters()]
            assert shapes == [640, 640, 8, 8]
        share = -(-640 // count)
        assert held[0] == [share, share, 1, 1]
        # Eight rows are for the first eight processes.
        assert held[count - 1][2:] == [0, 0]


def test_shares_of_the_optimizer(group):
    """Of ZeRO nobody has much more than others, and together they have all.
    """
    for count in PROCESSES:
        group(0, count)
        parameters = [
            torch.nn.Parameter(torch.zeros(100 + 7 * i))
            for i in range(4 * count)
        ]
        optimizer = ZeroRedundancyOptimizer(
            parameters, optimizer_class=torch.optim.AdamW)
        shares = [
            sum(p.numel() for group in groups for p in group['params'])
            for groups in optimizer._partition_parameters()
        ]
        assert len(shares) == count
        assert sum(shares) == sum(p.numel() for p in parameters)
        assert max(shares) < 1.05 * min(shares)


def test_strategies_with_checkpoints_of_their_own_are_refused():

    class DeepSpeedStrategy:
        pass

    with pytest.raises(ValueError, match='DeepSpeedStrategy .*--engine zero'):
        check_strategy(SimpleNamespace(strategy=DeepSpeedStrategy()))
    check_strategy(SimpleNamespace())
