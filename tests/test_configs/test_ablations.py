"""Every row of the paper's ablations: its size, and a step of a tiny twin."""
import json

import pytest
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper

import cast_mmaction  # noqa: F401
from tests.conftest import ROOT

FOLDER = ROOT / 'configs/cast/ablations'
TABLES = json.loads((FOLDER / 'tables.json').read_text())['tables']
ROWS = {
    row['config']: row
    for table in TABLES.values() for row in table['rows']
}
WIDTH = 24  # an eighth of it is divisible by the heads


def load(name):
    return Config.fromfile(FOLDER / f'{name}.py')


def shrink(cfg):
    """Deep enough for the rows that name blocks, tiny otherwise."""
    backbone = cfg.model.backbone
    for expert in (backbone.get(x) for x in ('spatial', 'temporal', 'expert')):
        if expert is None:
            continue
        expert.pretrained, expert.img_size = None, 32
        if expert.type == 'TimmExpert':
            expert.model_kwargs = dict(
                embed_dim=WIDTH, depth=12, num_heads=3)
        else:
            expert.arch = dict(embed_dims=WIDTH, num_layers=12, num_heads=3)
    head = cfg.model.cls_head
    head.in_channels = head.in_channels * WIDTH // 768
    return cfg


def batch(count=2):
    samples = []
    for i in range(count):
        sample = ActionDataSample()
        sample.set_field(torch.tensor([i]), 'gt_verb')
        sample.set_field(torch.tensor([i]), 'gt_noun')
        samples.append(sample)
    clip = torch.randint(256, (1, 3, 16, 32, 32), dtype=torch.uint8)
    return dict(inputs=[clip] * count, data_samples=samples)


def test_tables_and_folder_hold_the_same_rows():
    assert ROWS.keys() == {path.stem for path in FOLDER.glob('*.py')}


@pytest.mark.parametrize('name', ROWS)
def test_as_much_is_trained_as_stated(name):
    cfg = load(name)
    cfg.model.pop('data_preprocessor')
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trained / 1e6 == pytest.approx(ROWS[name]['trainable'], abs=5e-4)


@pytest.mark.parametrize('name', ROWS)
def test_a_tiny_twin_takes_a_step(name):
    cfg = shrink(load(name))
    model = MODELS.build(cfg.model)
    model.init_weights()
    cfg.optim_wrapper.accumulative_counts = 1
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    for _ in range(2):  # zero starts hide what is behind them once
        losses = model.train_step(batch(), wrapper)
        assert torch.isfinite(losses['loss'])
    moved = {
        name
        for name, value in model.state_dict().items()
        if not torch.equal(value, before[name])
    }
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert moved <= trained
    assert any('cls_head' in name for name in moved)
    if cfg.model.backbone.get('exchange'):
        assert any('exchange' in name for name in moved)


def test_the_recipe_of_the_ablations():
    cfg = load('ratio_eighth')
    wrapper = cfg.optim_wrapper
    assert wrapper.paramwise_cfg.layer_decay_rate == .8
    assert 16 * cfg.train_dataloader.batch_size * (
        wrapper.accumulative_counts) == 192
