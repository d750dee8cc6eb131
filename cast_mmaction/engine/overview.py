"""What a training is made of, as a table for whoever starts it."""
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

from mmengine.hooks import CheckpointHook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from torch import nn

from ..checkpoints.trained_only import is_frozen
from ..precision import of_config
from .sizes import experts_of

Row = Tuple[str, str]


def overview(runner) -> List[Row]:
    """The table of a runner that is about to train.

    Args:
        runner (Runner): With model, optimizer and data built and loaded.

    Returns:
        list[tuple[str, str]]: What it is, and how it is.
    """
    model = runner.model
    model = model.module if is_model_wrapper(model) else model
    rows = [*_weights(runner, model), ('parameters', _parameters(model)),
            ('lr', _rate(runner)), ('batch', _batch(runner)),
            ('classes', _classes(model)), ('clips', _clips(runner)),
            ('precision', of_config(runner.cfg)), ('stored', _stored(runner)),
            ('log', str(runner.logger.log_file))]
    return [row for row in rows if row[1]]


def as_text(title: str, rows: List[Row]) -> str:
    """The table under its title, the first column aligned."""
    width = max(len(name) for name, _ in rows)
    return '\n'.join(
        [title, *(f'  {name:{width}}  {text}' for name, text in rows)])


def _weights(runner, model: nn.Module) -> Iterator[Row]:
    """Experts, or else the backbone, and where all weights come from."""
    backbone = getattr(model, 'backbone', model)
    experts = experts_of(backbone)
    for name, expert in experts.items():
        source = getattr(expert, 'expert', expert)
        weights = getattr(source, 'pretrained', None) or 'random weights'
        if weights is True:
            weights = 'the weights that timm knows'
        state = 'frozen' if is_frozen(source) else 'trained'
        yield name, (f'{type(source).__name__}, {len(expert.blocks)} blocks '
                     f'{expert.embed_dims} wide, {state}: {weights}')
    if not experts:
        init = getattr(backbone, 'init_cfg', None) or {}
        weights = init.get('checkpoint') if isinstance(init, dict) else None
        yield 'model', (f'{type(backbone).__name__}: '
                        f'{weights or "random weights"}')
    if runner.iter:
        yield 'resumed', (f'{runner._load_from}, behind step {runner.iter}, '
                          f'epoch {runner.epoch}')
    elif runner._load_from:
        yield 'loaded', str(runner._load_from)


def _parameters(model: nn.Module) -> str:
    counts: Dict[bool, int] = {True: 0, False: 0}
    for parameter in model.parameters():
        counts[parameter.requires_grad] += parameter.numel()
    return (f'{_short(counts[True])} trained, '
            f'{_short(counts[False])} frozen')


def _short(count: int) -> str:
    """1234567 as '1.23 M'."""
    for size, unit in ((1e9, 'G'), (1e6, 'M'), (1e3, 'k')):
        if count >= size:
            return f'{count / size:.3g} {unit}'
    return str(count)


def _rate(runner) -> str:
    """The peak of the learning rate, and what it follows from."""
    wrapper = runner.optim_wrapper
    if not isinstance(wrapper, OptimWrapper):
        return ''  # several optimizers have no rate in common
    peaks = [group.get('initial_lr', group['lr'])
             for group in wrapper.optimizer.param_groups]
    text = f'{max(peaks):.4g}'
    stated = runner.cfg.get('optim_wrapper', {}).get('optimizer',
                                                     {}).get('lr')
    scaling = runner.cfg.get('auto_scale_lr') or {}
    if scaling.get('enable') and stated and _batch(runner):
        times = 1
        if scaling.get('count_accumulation'):
            times = wrapper._accumulative_counts
        unit = 'clips' if _repeats(runner) == 1 else 'videos'
        text += (f' = {stated:.4g} x {_samples(runner) * times} / '
                 f'{scaling["base_batch_size"]} {unit} (auto_scale_lr)')
    if min(peaks) < max(peaks):
        text += f', down to {min(peaks):.3g} in the lowest layers'
    schedules = runner.param_schedulers or []
    names = [type(x).__name__ for x in schedules] \
        if isinstance(schedules, list) else []
    return ', '.join([text, type(wrapper.optimizer).__name__, *names])


def _samples(runner) -> int:
    """Samples of an iteration over all processes."""
    return runner.train_dataloader.batch_size * runner.world_size


def _repeats(runner) -> int:
    """Clips of a sample, see `SteadyReading`."""
    dataset = runner.train_dataloader.dataset
    while not hasattr(dataset, 'num_repeats'):
        inner = getattr(dataset, 'datasets', None) or [
            getattr(dataset, 'dataset', None)]  # joined, or repeated
        if inner[0] is None:
            return 1
        dataset = inner[0]
    return dataset.num_repeats


def _batch(runner) -> str:
    if runner.train_dataloader.batch_size is None:
        return ''  # its batch sampler decides
    parts = [f'{runner.train_dataloader.batch_size} clips']
    repeats = _repeats(runner)
    if repeats > 1:
        parts = [f'{runner.train_dataloader.batch_size} videos',
                 f'{repeats} clips of each']
    if runner.world_size > 1:
        parts.append(f'{runner.world_size} processes')
    times = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
    if times > 1:
        parts.append(f'{times} batches accumulated')
    text = ' x '.join(parts)
    clips = _samples(runner) * times * repeats
    return text if len(parts) == 1 else f'{clips} = {text}'


def _classes(model: nn.Module) -> str:
    head = getattr(model, 'cls_head', None)
    widths = {
        name: layer.out_features
        for name, layer in (head.named_children() if head else ())
        if name in ('fc_verb', 'fc_noun') and isinstance(layer, nn.Linear)
    }
    if widths:
        return f'{widths["fc_verb"]} verbs, {widths["fc_noun"]} nouns'
    return str(getattr(head, 'num_classes', ''))


def _clips(runner) -> str:
    loop, loader = runner.train_loop, runner.train_dataloader
    if not hasattr(loader.dataset, '__len__'):
        return ''
    text = f'{len(loader.dataset):,} in training'
    if _repeats(runner) > 1:
        text += f', each {_repeats(runner)} times'
    if hasattr(loop, 'max_epochs') and loop.max_epochs:
        text += f', {loop.max_epochs} x {len(loader):,} steps'
    else:
        text += f', {loop.max_iters:,} steps'
    if runner.val_loop is not None:
        text += f'; {len(runner.val_dataloader.dataset):,} in validation'
    return text


def _stored(runner) -> str:
    hooks = [x for x in runner.hooks if isinstance(x, CheckpointHook)]
    if not hooks:
        return 'nothing'
    hook = hooks[0]
    what = 'what is trained' if getattr(
        hook, 'trainable_only', False) else 'all weights'
    unit = 'epoch' if hook.by_epoch else 'step'
    every = f'every {unit}' if hook.interval == 1 else \
        f'every {hook.interval} {unit}s'
    text = f'{what}, {every}'
    if hook.max_keep_ckpts > 0:
        text += f', the last {hook.max_keep_ckpts}'
    if hook.save_best:
        text += ' and the best'
    return f'{text}, in {Path(hook.out_dir or runner.work_dir)}'
