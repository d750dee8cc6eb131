"""A training that takes a second: a toy model, its data and a config."""
import importlib.util
import os
import signal
import sys
import time
from itertools import count
from pathlib import Path
from types import ModuleType

import torch
import torch.nn.functional as F
from mmaction.registry import DATASETS, HOOKS, METRICS, MODELS
from mmengine.config import Config
from mmengine.dist import get_rank, get_world_size
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = 24
_runs = count()


@DATASETS.register_module()
class ToyDataset(torch.utils.data.Dataset):
    """24 vectors of 8 numbers; the class is where the largest of 3 is."""

    metainfo = dict(name='toy')

    def __init__(self,
                 poison: int = -1,
                 steep: int = -1,
                 hang: str = '',
                 length: int = 0,
                 ann_file: str = '') -> None:
        self.length = length or SAMPLES
        self.ann_file = ann_file  # not read
        self.poison = poison  # the index of a sample without a finite loss
        self.steep = steep  # of one with such a loss, but not its gradient
        self.hang = hang  # sample 3 writes its process into this, and blocks

    def __len__(self) -> int:
        return self.length

    def get_data_info(self, index: int) -> dict:
        return dict(filename=f'clips/{index}.mp4')

    def __getitem__(self, index: int) -> dict:
        if self.hang and index == 3:
            Path(self.hang).write_text(str(os.getpid()))
            time.sleep(1000)
        x = torch.randn(8, generator=torch.Generator().manual_seed(index))
        label = x[:3].argmax()
        if index == self.poison:
            x *= float('nan')
        if index == self.steep:
            x[0] = 0
        return dict(inputs=x, labels=label)


@MODELS.register_module()
class ToyModel(BaseModel):
    """Two linear layers; `layer_groups` as backbones have them."""

    def __init__(self, dropout: float = 0., width: int = 16) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Linear(8, width), nn.GELU(), nn.LayerNorm(width))
        self.backbone.layer_groups = lambda: [[self.backbone[0]],
                                              [self.backbone[2]]]
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, 3)

    def init_weights(self) -> None:
        generator = torch.Generator().manual_seed(0)
        for parameter in self.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, 0, 0.3, generator=generator)

    def forward(self, inputs, labels, mode='tensor'):
        scores = self.head(self.dropout(self.backbone(inputs)))
        if mode == 'loss':
            # The root has no finite slope at 0; elsewhere it is left out.
            root = (inputs[:, 0] * self.head.bias[0].exp()).abs().sqrt()
            loss = F.cross_entropy(scores, labels)
            return dict(loss_cls=loss + (root * (inputs[:, 0] == 0)).sum())
        hits, scores = scores.argmax(1) == labels, scores.softmax(1)
        return [
            dict(hit=hit, pred_score=score, gt_label=label)
            for hit, score, label in zip(hits, scores, labels[:, None])
        ]


@METRICS.register_module()
class ToyAccuracy(BaseMetric):
    """`acc/top1`."""
    default_prefix = 'acc'

    def process(self, data_batch, data_samples) -> None:
        self.results += [float(x['hit']) for x in data_samples]

    def compute_metrics(self, results) -> dict:
        return dict(top1=sum(results) / len(results))


def toy_config(work_dir,
               batch: int = 4,
               epochs: int = 3,
               without: str = '',
               **changes) -> Config:
    """The config of a toy training, without one of the default hooks.

    ``changes`` are what ``--cfg-options`` takes.
    """
    loader = dict(
        batch_size=batch,
        num_workers=0,
        collate_fn=dict(type='default_collate'),
        dataset=dict(type='ToyDataset'),
        sampler=dict(type='DefaultSampler', shuffle=True))
    cfg = Config.fromfile(ROOT / 'configs/_base_/default_runtime.py')
    cfg.merge_from_dict(
        Config.fromfile(ROOT / 'configs/_base_/schedules/adamw_70e.py')
        ._cfg_dict.to_dict())
    cfg.merge_from_dict(
        dict(
            custom_imports=dict(imports=['cast_mmaction', 'tests.toy']),
            work_dir=str(work_dir),
            # Runs of one name share a message hub, and start within a second.
            experiment_name=f'toy-{next(_runs)}',
            model=dict(type='ToyModel'),
            train_dataloader=loader,
            val_dataloader=dict(loader, sampler=dict(type='DefaultSampler')),
            val_evaluator=dict(type='ToyAccuracy'),
            test_dataloader=dict(loader, sampler=dict(type='DefaultSampler')),
            test_evaluator=dict(type='ToyAccuracy'),
            train_cfg=dict(max_epochs=epochs, val_interval=1),
            auto_scale_lr=dict(base_batch_size=4),
            default_hooks=dict(logger=dict(interval=1)),
            log_level='WARNING'))
    cfg.param_scheduler[0].warmup = 1
    cfg.optim_wrapper.optimizer.lr = 1e-2
    cfg.default_hooks.pop(without, None)
    cfg.merge_from_dict(changes)
    return cfg


def load_tool(name: str) -> ModuleType:
    """A script of tools/, such as 'data/prepare', as a module."""
    path = ROOT / f'tools/{name}.py'
    sys.path.insert(0, str(path.parent))  # as when it is run
    try:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        tool = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(tool)
    finally:
        sys.path.remove(str(path.parent))
    return tool


def weights(path) -> dict:
    """The model of a checkpoint, loaded as plain data."""
    return torch.load(path, weights_only=True)['state_dict']


def assert_same(left: dict, right: dict, **tolerance) -> None:
    """Two state dicts are equal, to the bit if no tolerance is given."""
    tolerance = tolerance or dict(rtol=0, atol=0)
    assert left.keys() == right.keys()
    for key in left:
        torch.testing.assert_close(
            left[key], right[key], **tolerance, msg=lambda m: f'{key}: {m}')


@HOOKS.register_module()
class SlowHook(Hook):
    """Time to send a signal in."""

    def after_train_iter(self, runner, **kwargs) -> None:
        if runner.epoch:
            time.sleep(0.3)


@HOOKS.register_module()
class SlowWriter(Hook):
    """A disk that takes its time with the file of an interrupted epoch."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        if 'interrupted_epoch' in runner.message_hub.runtime_info:
            Path(runner.work_dir, 'writing').touch()
            time.sleep(self.seconds)


@HOOKS.register_module()
class Accident(Hook):
    """What the environment says: ``ACCIDENT=train:9:SIGKILL`` signals itself
    after an iteration, ``HANG=1`` lets that process wait, ``RATES`` is a file
    for what clips there were before an iteration, of how many it is, and its
    learning rate."""

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if os.environ.get('HANG') == os.environ.get('RANK') is not None:
            time.sleep(1000)
        if 'RATES' in os.environ and get_rank() == 0:
            clips = len(data_batch['labels']) * get_world_size()
            rate = runner.optim_wrapper.optimizer.param_groups[0]['lr']
            before = runner.epoch * SAMPLES + batch_idx * clips
            with open(os.environ['RATES'], 'a') as file:
                print(before, clips, rate, file=file)

    def after_train_iter(self, runner, **kwargs) -> None:
        self._happen('train', runner.iter)

    def after_test_iter(self, runner, batch_idx, **kwargs) -> None:
        self._happen('test', batch_idx)

    def _happen(self, where: str, number: int) -> None:
        place, at, name = os.environ.get('ACCIDENT', '::').split(':')
        if (place, at) == (where, str(number)):
            os.kill(os.getpid(), signal.Signals[name])


class At(Hook):
    """Calls a function after the iteration of a number."""

    def __init__(self, iteration, function) -> None:
        self.iteration, self.function = iteration, function

    def after_train_iter(self, runner, **kwargs) -> None:
        if runner.iter == self.iteration:
            self.function()


def curve(file) -> dict:
    """What :class:`Accident` wrote: ``{clips before: (clips, rate)}``.

    What was done again counts as it was done last.
    """
    rows = [line.split() for line in Path(file).read_text().splitlines()]
    return {int(before): (int(clips), float(rate))
            for before, clips, rate in rows}


def start(work_dir, *hooks: Hook, **changes) -> Runner:
    """The runner of a toy training, with more hooks."""
    runner = Runner.from_cfg(toy_config(work_dir, **changes))
    for hook in hooks:
        runner.register_hook(hook)
    return runner
