import math

import pytest
import torch
from mmaction.registry import PARAM_SCHEDULERS
from mmengine.optim import OptimWrapper

from cast_mmaction.engine import WarmupCosineLR


def wrapper(accumulation=1, lrs=(1., 0.5)):
    groups = [
        dict(params=[torch.nn.Parameter(torch.zeros(1))], lr=x) for x in lrs
    ]
    return OptimWrapper(
        torch.optim.SGD(groups, lr=1.), accumulative_counts=accumulation)


def rates(optimizer, scheduler, iterations):
    """The learning rates of the groups in every iteration."""
    found = []
    for _ in range(iterations):
        found.append([x['lr'] for x in optimizer.optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return found


def test_from_zero_to_each_groups_peak_and_down():
    optimizer = wrapper()
    scheduler = WarmupCosineLR(optimizer, warmup=4, end=12, by_epoch=False)
    found = rates(optimizer, scheduler, 12)
    assert [x[0] for x in found[:5]] == [0, .25, .5, .75, 1.]
    for step in range(4, 12):
        cosine = (1 + math.cos(math.pi * (step - 4) / 8)) / 2
        assert found[step][0] == pytest.approx(.001 + .999 * cosine)
    assert all(b == pytest.approx(a / 2) for a, b in found)


def test_ends_just_above_a_thousandth():
    optimizer = wrapper()
    scheduler = WarmupCosineLR(optimizer, end=1000, by_epoch=False)
    last = rates(optimizer, scheduler, 1000)[-1][0]
    assert 1e-3 < last < 1.01e-3


def test_moves_once_an_optimizer_step():
    once = wrapper()
    steps = rates(once,
                  WarmupCosineLR(once, warmup=3, end=10, by_epoch=False), 10)
    thrice = wrapper(accumulation=3)
    iterations = rates(
        thrice, WarmupCosineLR(thrice, warmup=9, end=30, by_epoch=False), 30)
    assert iterations == [x for x in steps for _ in range(3)]


def test_lengths_in_epochs():
    optimizer = wrapper()
    scheduler = PARAM_SCHEDULERS.build(
        dict(
            type='WarmupCosineLR',
            warmup=2,
            end=5,
            convert_to_iter_based=True),
        default_args=dict(optimizer=optimizer, epoch_length=7))
    assert (scheduler.warmup_steps, scheduler.total_steps) == (14, 35)


def test_goes_on_from_its_state():
    optimizer = wrapper()
    scheduler = WarmupCosineLR(optimizer, warmup=2, end=9, by_epoch=False)
    whole = rates(optimizer, scheduler, 9)

    first = wrapper()
    scheduler = WarmupCosineLR(first, warmup=2, end=9, by_epoch=False)
    rates(first, scheduler, 4)
    second = wrapper()
    resumed = WarmupCosineLR(second, warmup=2, end=9, by_epoch=False)
    resumed.load_state_dict(scheduler.state_dict())
    second.load_state_dict(first.state_dict())
    assert rates(second, resumed, 5) == whole[4:]


@pytest.mark.parametrize('wrong', [
    dict(end=9), dict(by_epoch=False), dict(by_epoch=False, end=9, warmup=10),
    dict(by_epoch=False, begin=2, end=9)
])
def test_refuses_half_a_schedule(wrong):
    with pytest.raises(ValueError):
        WarmupCosineLR(wrapper(), **wrong)
