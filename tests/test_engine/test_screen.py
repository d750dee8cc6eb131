"""What a run shows on the screen, and what its log file holds."""
import logging
from pathlib import Path

import pytest
import torch
from mmaction.registry import HOOKS, MODELS
from mmengine.hooks import Hook
from torch import nn

from cast_mmaction.engine import QuietRunner
from cast_mmaction.engine.overview import _parameters, _short, overview
from cast_mmaction.engine.screen import ScreenFilter
from tests.toy import ToyModel, toy_config

ARCH = dict(embed_dims=8, num_layers=2, num_heads=2)
SIZE = dict(arch=ARCH, img_size=8, patch_size=4, num_frames=4)


@MODELS.register_module()
class ToyWithExperts(ToyModel):
    """The toy model, beside a backbone that is only looked at."""

    def __init__(self, pretrained: str) -> None:
        super().__init__()
        self.net = self.backbone
        self.backbone = MODELS.build(
            dict(
                type='CAST',
                spatial=dict(
                    type='CLIPExpert',
                    frame_stride=2,
                    pretrained=pretrained,
                    **SIZE),
                temporal=dict(type='VideoMAEExpert', **SIZE)))
        self.cls_head = MODELS.build(
            dict(
                type='VerbNounHead', in_channels=8, num_verbs=3, num_nouns=5))
        self.requires_grad_(True)
        for expert in self.backbone.experts():
            expert.freeze()

    def forward(self, inputs, labels, mode='tensor'):
        backbone, self.backbone = self.backbone, self.net
        try:
            return super().forward(inputs, labels, mode)
        finally:
            self.backbone = backbone


@HOOKS.register_module()
class Talkative(Hook):
    """Says much, and once something that matters."""

    def before_train(self, runner) -> None:
        runner.logger.info('unasked before')
        runner.logger.warning('beware')

    def before_train_epoch(self, runner) -> None:
        runner.logger.info('of one line')
        runner.logger.info('of two\nlines')


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A training's runner, and the screen that it had."""
    folder = tmp_path_factory.mktemp('screen')
    expert = MODELS.build(
        dict(type='CLIPExpert', frame_stride=2, **SIZE))
    torch.save(expert.state_dict(), folder / 'expert.pth')
    cfg = toy_config(
        folder,
        log_level='INFO',
        model=dict(
            type='ToyWithExperts', pretrained=str(folder / 'expert.pth')),
        custom_hooks=[dict(type='Talkative')],
        auto_scale_lr=dict(enable=True, base_batch_size=8),
        optim_wrapper=dict(paramwise_cfg=dict(layer_decay_rate=0.5)),
        default_hooks=dict(
            strict_load=dict(allow_random_experts=True),
            checkpoint=dict(trainable_only=False)))
    patch = pytest.MonkeyPatch()
    try:
        screen = _Screen()
        patch.setattr('sys.stdout', screen)
        runner = QuietRunner.from_cfg(cfg)
        runner.train()
    finally:
        patch.undo()
    return runner, screen.text


class _Screen:
    """Keeps what is written, and is no terminal."""
    text = ''

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        """Nothing is held back."""

    def isatty(self) -> bool:
        return False


def test_the_screen_is_short_and_the_log_whole(run):
    runner, screen = run
    log = Path(runner.logger.log_file).read_text()
    for dump in ('System environment:', 'Config:\n', 'Hooks will be executed',
                 'unasked before', 'of two\nlines', 'base_lr:'):
        assert dump in log and dump not in screen, dump
    for line in ('beware', 'of one line', 'Epoch(train) [1][1/6]'):
        assert line in log and line in screen, line
    first = screen.index('Epoch(train)')
    assert screen[:first].count('\n') < 16
    progress = screen[first:screen.index('\n', first)]
    assert 'eta: ' in progress and 'loss: ' in progress
    assert len(progress) < 100


def test_the_table(run):
    runner, screen = run
    folder = runner.work_dir
    for name, text in (
        ('spatial', 'CLIPExpert, 2 blocks 8 wide, frozen: '
         f'{folder}/expert.pth'),
        ('temporal', 'VideoMAEExpert, 2 blocks 8 wide, frozen: random '
         'weights'), ('parameters', _parameters(runner.model)),
        ('lr', '0.005 = 0.01 x 4 / 8 clips (auto_scale_lr), down to'),
        ('batch', '4 clips'), ('classes', '3 verbs, 5 nouns'),
        ('clips', '24 in training, 3 x 6 steps; 24 in validation'),
        ('precision', 'float32'),
        ('stored', 'all weights, every epoch, the last 2 and the best, in '
         f'{folder}'), ('log', runner.logger.log_file)):
        line = next(x for x in screen.splitlines()
                    if x.strip().startswith(f'{name} '))
        assert text in line, line


def test_what_a_training_goes_on_from(run):
    runner, _ = run
    runner._load_from = 'epoch_3.pth'
    rows = dict(overview(runner))
    assert rows['resumed'] == 'epoch_3.pth, behind step 18, epoch 3'
    runner._load_from = None


def test_a_model_without_experts():
    assert _short(999) == '999' and _short(1234567) == '1.23 M'
    model = nn.Linear(2, 3)
    model.bias.requires_grad_(False)
    assert _parameters(model) == '6 trained, 3 frozen'


def test_the_filter_shows_no_word_of_the_hosts_own_code():
    screen = ScreenFilter()
    screen.open = True

    def passes(level, message):
        return screen.filter(
            logging.LogRecord('mmengine', level, '', 0, message, (), None))

    assert passes(logging.WARNING, 'of two\nlines')
    assert not passes(logging.WARNING, '"FileClient" will be deprecated')
    assert not passes(logging.INFO, 'of two\nlines')
    assert passes(logging.INFO, 'Epoch(test) [6/6]  matrix: [[1, 2],\n[3, 4]]')
