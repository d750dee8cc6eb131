"""The log's history and the waits of a training step, see test_compat.py."""
import copy
import inspect
import pickle

import numpy as np
import pytest
import torch
from mmaction.models.heads import BaseHead
from mmaction.models.utils import blending_utils
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.model import BaseDataPreprocessor
from mmengine.optim import OptimWrapper

from cast_mmaction.log_history import KEPT, SAVED, UNBOUNDED
from tests.test_compat import host, original


def filled(length, **kwargs):
    buffer = HistoryBuffer(**kwargs)
    for value in range(length):
        buffer.update(float(value), 1 + value % 2)
    return buffer


# bounded


def test_bounded_log_defect():
    assert 'AssertionError' in host(
        'from mmengine.logging import HistoryBuffer; b = HistoryBuffer(); '
        '[b.update(i) for i in range(20_000)]; '
        'assert len(b.data[0]) < 20_000')


@pytest.mark.parametrize('length', [1, 15, 16, 17, 999, 1000, 1001, 2500])
@pytest.mark.parametrize('step', [1, 7, 4000])
def test_a_buffer_holds_what_the_hosts_does(length, step):
    """Whether somebody looks after every value, or seldom."""
    buffer = HistoryBuffer(max_length=1000)
    for value in range(length):
        buffer.update(float(value), 1 + value % 2)
        if value % step == 0:
            assert buffer.current() == value
    values = np.arange(length, dtype=float)[-1000:]
    counts = (1 + np.arange(length) % 2)[-1000:]
    found = buffer.data
    np.testing.assert_array_equal(found[0], values)
    np.testing.assert_array_equal(found[1], counts)
    for window in (1, 20, len(values), None):
        part = slice(-window if window else None, None)
        assert buffer.mean(window) == values[part].sum() / counts[part].sum()
        assert buffer.max(window) == values[part].max()
        assert buffer.min(window) == values[part].min()


def test_the_history_is_bounded():
    """Also one that goes on from a checkpoint of the host."""
    buffer = filled(KEPT + 10)
    assert len(buffer.data[0]) == KEPT and buffer.current() == KEPT + 9
    old = HistoryBuffer(range(2 * KEPT), [1] * 2 * KEPT, UNBOUNDED)
    old.update(-1.)
    assert len(old.data[0]) == KEPT and old.current() == -1


def test_integers_stay_integers():
    buffer = HistoryBuffer([1], [1])
    buffer.update(2)
    assert buffer.data[0].dtype == np.int64
    buffer.update(.5)
    assert buffer.data[0].tolist() == [1, 2, .5]


@pytest.mark.parametrize(
    'again', [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_and_pickles(again):
    buffer = filled(5)
    other = again(buffer)
    other.update(7.)
    assert buffer.data[0].tolist() == [0, 1, 2, 3, 4]
    assert other.data[0].tolist() == [0, 1, 2, 3, 4, 7]
    assert other.statistics('max') == 7


def test_a_pickle_of_the_host():
    state = dict(
        max_length=UNBOUNDED,
        _log_history=np.arange(3.),
        _count_history=np.ones(3),
        statistics_methods={})
    buffer = object.__new__(HistoryBuffer)
    buffer.__setstate__(state)
    buffer.update(5.)
    assert buffer.data[0].tolist() == [0, 1, 2, 5]
    assert buffer.max_length == KEPT


def test_a_statistic_of_ones_own():
    buffer = filled(4)
    buffer._statistics_methods['last'] = lambda self: self._log_history[-1]
    try:
        assert buffer.statistics('last') == 3
    finally:
        del buffer._statistics_methods['last']


def test_a_checkpoint_takes_the_last_values():
    hub = MessageHub('bounded')
    hub._log_scalars['loss'] = filled(SAVED + 5)
    hub._resumed_keys['loss'] = True
    saved = hub.state_dict()['log_scalars']['loss']
    assert len(saved.data[0]) == SAVED and saved.current() == SAVED + 4
    assert len(hub.get_scalar('loss').data[0]) == SAVED + 5


@pytest.mark.parametrize('value', ['1', None, torch.zeros(2)])
def test_what_is_no_number(value):
    with pytest.raises(TypeError, match='log_val must be a number'):
        HistoryBuffer().update(value)


# without waiting


class Unread(torch.Tensor):
    """A tensor that must not be read."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        assert function.__name__ not in ('item', 'tolist', '__float__')
        return super().__torch_function__(function, types, args, kwargs or {})


def test_log_without_waiting_defect():
    value = torch.ones(1).as_subclass(Unread)
    with pytest.raises(AssertionError):
        original(MessageHub.update_scalar)(MessageHub('a'), 'loss', value)
    MessageHub('b').update_scalar('loss', value)


def test_values_are_read_later():
    hub, value = MessageHub('later'), torch.tensor([2.], requires_grad=True)
    hub.update_scalar('loss', value)
    hub.update_scalar('loss', 3)
    hub.update_scalar('loss', torch.tensor(4, dtype=torch.int32))
    hub.update_scalar('loss', np.float32(5))
    with torch.no_grad():
        value += 100  # by its owner, afterwards
    assert hub.get_scalar('loss').data[0].tolist() == [2, 3, 4, 5]
    with pytest.raises(AssertionError):
        hub.update_scalar('loss', torch.zeros(2))
    with pytest.raises(AssertionError):
        hub.update_scalar('loss', torch.zeros(1), resumed=False)


@pytest.mark.parametrize('clip, norm', [
    (dict(max_norm=1.), [5.]),
    (dict(type='value', clip_value=1.), None),
])
def test_clipping(clip, norm):
    hub = MessageHub.get_instance(f'clip {clip}')
    parameter = torch.nn.Parameter(torch.zeros(2))
    wrapper = OptimWrapper(
        torch.optim.SGD([parameter, torch.nn.Parameter(torch.zeros(1))], 1.),
        clip_grad=clip)
    (parameter * torch.tensor([3., 4.])).sum().backward()
    wrapper.step()
    expected = [-.6, -.8] if norm else [-1., -1.]
    torch.testing.assert_close(parameter.detach(), torch.tensor(expected))
    logged = hub.log_scalars.get('train/grad_norm')
    assert (logged and logged.data[0].tolist()) == norm


# copies


def test_blocking_copies_defect():
    assert 'AssertionError' in host(
        'from mmengine.model import BaseDataPreprocessor as P; '
        'assert P()._non_blocking')


def test_copies_do_not_block():
    assert BaseDataPreprocessor()._non_blocking
    assert not BaseDataPreprocessor(non_blocking=False)._non_blocking
    model = MODELS.build(dict(type='ActionDataPreprocessor'))
    assert model._non_blocking


# blending

CLASSES = [blending_utils.MixupBlending, blending_utils.CutmixBlending]


def blended(blending, call):
    torch.manual_seed(3)
    clips = torch.rand(4, 1, 3, 2, 16, 16)
    samples = [ActionDataSample().set_gt_label(i) for i in range(4)]
    clips, samples = call(blending, clips, samples)
    return clips, torch.stack([x.gt_label for x in samples])


@pytest.mark.parametrize('kind', CLASSES)
def test_the_same_blending_as_the_hosts(kind, monkeypatch):
    found = blended(kind(num_classes=5, alpha=.8), kind.__call__)
    monkeypatch.setattr(kind, 'do_blending', original(kind.do_blending))
    wanted = blended(kind(num_classes=5, alpha=.8), original(kind.__call__))
    assert (found[1] > 0).sum() > 4  # something was blended
    for left, right in zip(found, wanted):
        assert torch.equal(left, right) and left.dtype == right.dtype


@pytest.mark.parametrize('label', [1, [.25, 0., .75, 0., 0.]])
@pytest.mark.parametrize('smooth', [0., .1])
def test_the_same_loss_as_the_hosts(label, smooth):
    head = MODELS.build(
        dict(
            type='I3DHead',
            num_classes=5,
            in_channels=8,
            topk=(1, 3),
            label_smooth_eps=smooth))
    samples = [
        ActionDataSample().set_gt_label(
            torch.tensor(label) if isinstance(label, list) else i)
        for i in range(4)
    ]
    torch.manual_seed(0)
    scores = torch.randn(4, 5)
    found = head.loss_by_feat(scores, samples)
    wanted = original(type(head).loss_by_feat)(head, scores, samples)
    assert found.keys() == wanted.keys() and 'loss_cls' in found
    for key, value in wanted.items():
        assert float(found[key]) == pytest.approx(float(value)), key


def test_accuracy_without_waiting_defect():
    """The host sorts on the CPU."""
    source = inspect.getsource(original(BaseHead.loss_by_feat))
    assert 'cls_scores.detach().cpu().numpy()' in source


@pytest.mark.parametrize('kind', CLASSES)
def test_blending_without_waiting_defect(kind):
    """The host reads each label off the device, and indexes from the host."""
    source = inspect.getsource(original(kind.__call__))
    assert 'torch.tensor(label' in source
    source = inspect.getsource(original(kind.do_blending))
    assert 'rand_index = torch.randperm(batch_size)' in source


def test_labels_that_are_distributions():
    blending = blending_utils.MixupBlending(num_classes=2, alpha=.8)
    samples = [
        ActionDataSample().set_gt_label(torch.tensor(x))
        for x in ([.25, .75], [.25, .75])
    ]
    _, samples = blending(torch.rand(2, 1, 3, 1, 4, 4), samples)
    for sample in samples:
        assert sample.gt_label.tolist() == pytest.approx([.25, .75])
