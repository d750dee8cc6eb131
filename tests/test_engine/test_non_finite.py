import copy

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper

from tests.toy import start


class Before(Hook):
    """Keeps the training's state as it is before each iteration."""

    def __init__(self):
        self.states = {}

    def before_train_iter(self, runner, **kwargs):
        state = (runner.model.state_dict(),
                 runner.optim_wrapper.optimizer.state_dict()['state'])
        self.states[runner.epoch + 1, runner.iter + 1] = copy.deepcopy(state)


class Spoil(Hook):
    """Makes the gradients of one iteration something else."""

    def __init__(self, iteration, value):
        self.iteration, self.value = iteration, value

    def before_train_iter(self, runner, **kwargs):
        if runner.iter == self.iteration:
            handle = runner.model.head.weight.register_hook(
                lambda x: handle.remove() or x.fill_(self.value))


def flat(state):
    """``{name: tensor}`` of a model's and an optimizer's state."""
    model, optimizer = state
    moments = {(i, k): x for i, y in optimizer.items() for k, x in y.items()}
    return {**model, **moments}


CLIPS = [None, dict(max_norm=1.), dict(type='value', clip_value=1.)]


@pytest.mark.parametrize('fused', [False, True])
@pytest.mark.parametrize('accumulation', [1, 3])
@pytest.mark.parametrize('clip', CLIPS)
@pytest.mark.parametrize('kind', ['loss', float('inf'), float('nan')])
def test_stops_before_the_weights_are_touched(tmp_path, kind, clip,
                                              accumulation, fused):
    """A fused optimizer is held back, and the training stops a step later."""
    before = Before()
    changes = {
        'optim_wrapper.accumulative_counts': accumulation,
        'optim_wrapper.clip_grad': clip,
        'optim_wrapper.optimizer.fused': fused
    }
    if kind == 'loss':
        changes['train_dataloader.dataset.poison'] = 7
        hooks, message = [], 'the loss is not finite.*weights were not'
    else:
        hooks = [Spoil(3, kind)]
        message = (r'the loss is finite, its gradients are not, in epoch 1, '
                   fr'iteration {[4, 6][accumulation == 3]} \(of '
                   r'head.weight\).*weights were not')
    runner = start(tmp_path, before, *hooks, epochs=2, **changes)
    with pytest.raises(FloatingPointError, match=message) as error:
        runner.train()
    words = str(error.value).split('epoch ')[1].split(', iteration ')
    step = int(words[0]), int(words[1].split()[0])
    after = flat((runner.model.state_dict(),
                  runner.optim_wrapper.optimizer.state_dict()['state']))
    expected = flat(before.states[step])
    for name, value in after.items():
        # The first step makes moments, of zeros.
        former = expected.get(name, torch.zeros_like(value))
        assert torch.equal(value, former), name


def test_the_message_names_the_losses(tmp_path):
    """Of the batch that has one, also among accumulated batches."""
    runner = start(
        tmp_path, **{
            'train_dataloader.dataset.poison': 7,
            'optim_wrapper.accumulative_counts': 6
        })
    with pytest.raises(FloatingPointError, match=r"here: {'loss_cls': nan}"):
        runner.train()


def test_a_steep_loss(tmp_path):
    runner = start(tmp_path, **{'train_dataloader.dataset.steep': 7})
    with pytest.raises(FloatingPointError, match=r'of head.bias\)'):
        runner.train()


@pytest.mark.parametrize('fused', [False, True])
@pytest.mark.parametrize('kind', ['poison', 'steep'])
def test_without_the_hook_nothing_stops(tmp_path, kind, fused):
    """Fails once MMEngine stops by itself: then the hook can go."""
    runner = start(
        tmp_path,
        epochs=1,
        without='non_finite',
        **{
            f'train_dataloader.dataset.{kind}': 7,
            # ours does not save what is not finite
            'default_hooks.checkpoint':
            dict(_delete_=True, type='CheckpointHook')
        })
    runner.train()
    assert not all(x.isfinite().all() for x in runner.model.parameters())


@pytest.mark.parametrize('last', [False, True])
def test_nothing_is_saved_after_a_bad_step(tmp_path, last):
    """Also when the last step of an epoch is held back."""
    runner = start(
        tmp_path, Spoil(11 if last else 8, float('inf')), epochs=2, **{
            'optim_wrapper.optimizer.fused': True
        })
    with pytest.raises(FloatingPointError):
        runner.train()
    assert (tmp_path / 'last_checkpoint').read_text().endswith('epoch_1.pth')
    assert not (tmp_path / 'epoch_2.pth').exists()


def test_the_wrapper_is_left_as_it_was(tmp_path):
    runner = start(tmp_path, epochs=1)
    wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.optim_wrapper = wrapper
    runner.train()
    wrapper.zero_grad()
    runner.model.head.weight.grad = torch.full_like(runner.model.head.weight,
                                                    float('inf'))
    wrapper.step()  # nobody minds


# loss scaling, with a scaler for the CPU


def scaled(tmp_path, *hooks, clip=None, **changes):
    """A training with a loss scaler, which MMEngine wants a GPU for."""
    runner = start(tmp_path, *hooks, epochs=1, **changes)
    plain = runner.build_optim_wrapper(runner.optim_wrapper)
    wrapper = object.__new__(AmpOptimWrapper)
    vars(wrapper).update(vars(plain))
    if clip:
        wrapper.clip_grad_kwargs = clip
        wrapper.clip_func = torch.nn.utils.clip_grad_norm_
        wrapper.grad_name = 'grad_norm'
    wrapper._scale_update_param = None
    wrapper.loss_scaler = torch.amp.GradScaler('cpu', init_scale=2.**16)
    wrapper.cast_dtype = torch.bfloat16
    runner.optim_wrapper = wrapper
    messages = []
    runner.logger.warning = messages.append
    return runner, messages


@pytest.mark.parametrize('fused', [False, True])
@pytest.mark.parametrize('clip', [None, dict(max_norm=1.)])
def test_skipped_steps_are_logged(tmp_path, fused, clip):
    runner, messages = scaled(
        tmp_path,
        Spoil(2, float('inf')),
        clip=clip,
        **{'optim_wrapper.optimizer.fused': fused})
    runner.train()
    skipped = [x for x in messages if 'skipped' in x]
    assert len(skipped) == 1
    assert '1 so far' in skipped[0] and 'now 32768' in skipped[0]
    assert all(x.isfinite().all() for x in runner.model.parameters())


@pytest.mark.parametrize('fused', [False, True])
def test_skipped_steps_are_bounded(tmp_path, fused):
    runner, messages = scaled(
        tmp_path,
        *[Spoil(i, float('nan')) for i in range(1, 6)],
        **{
            'optim_wrapper.optimizer.fused': fused,
            'default_hooks.non_finite.max_skipped': 2
        })
    with pytest.raises(FloatingPointError, match='3 optimizer steps in a row.*'
                       'iteration 4.*of head.weight'):
        runner.train()
    assert len([x for x in messages if 'skipped' in x]) == 2


def test_skips_that_are_not_in_a_row(tmp_path):
    runner, messages = scaled(
        tmp_path,
        *[Spoil(i, float('inf')) for i in (0, 2, 4)],
        **{'default_hooks.non_finite.max_skipped': 1})
    runner.train()
    assert '3 so far' in messages[-1]


@pytest.mark.parametrize('fused', [False, True])
def test_a_bad_loss_is_not_scaled_away(tmp_path, fused):
    runner, _ = scaled(
        tmp_path, **{
            'train_dataloader.dataset.poison': 7,
            'optim_wrapper.optimizer.fused': fused
        })
    with pytest.raises(FloatingPointError, match='the loss is not finite'):
        runner.train()
