"""CAST with today's experts and their frozen probes: sizes as they are said,
and a tiny step of each."""
import pytest
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.fileio import load
from mmengine.optim import build_optim_wrapper
from torch.utils.flop_counter import FlopCounterMode

from tests.conftest import ROOT

FOLDER = ROOT / 'configs/cast_today'
CONFIGS = sorted(FOLDER.glob('*.py'))
MODELS_SAID = {
    model['Name']: model['Metadata']
    for model in load(FOLDER / 'metafile.yml')['Models']
}


def build(model):
    return MODELS.build(
        {k: v
         for k, v in model.items() if k != 'data_preprocessor'})


def multiply_adds(model, clip):
    model.requires_grad_(False)  # the counter follows gradients
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        x = model.backbone(clip)
        if model.with_neck:
            x, _ = model.neck(x)
        model.cls_head(x)
    return counter.get_total_flops() / 2


def test_every_config_is_indexed():
    assert MODELS_SAID.keys() == {file.stem for file in CONFIGS}


@pytest.mark.parametrize('file', CONFIGS, ids=lambda file: file.stem)
def test_the_sizes_are_as_said(file):
    said = MODELS_SAID[file.stem]
    cfg = Config.fromfile(file)
    assert cfg.train_cfg.max_epochs == said['Epochs']
    assert cfg.train_dataloader.batch_size == said['Batch Size']
    with torch.device('meta'):
        model = build(cfg.model).eval()
        clip = torch.randn(1, 3, 16, 224, 224)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    count = sum(p.numel() for p in model.parameters())
    assert f'{trained / 1e6:.1f}M' == said['Trained Parameters']
    assert f'{count / 1e6:.1f}M' == said['Parameters']
    if 'kinetics400' in file.stem:  # the others differ in a Linear
        assert f'{multiply_adds(model, clip) / 1e9:.1f}G' == said['FLOPs']
    row, = (line for line in (FOLDER / 'README.md').read_text().splitlines()
            if line.startswith(f'| [{file.stem}]'))
    for key in ('Trained Parameters', 'Parameters', 'FLOPs'):
        assert f' {said[key][:-1]} ' in row


def in_small(cfg):
    """The same with experts of two narrow blocks."""
    arch = dict(embed_dims=48, num_layers=2, num_heads=4)
    model = cfg.model
    backbone = model.backbone
    experts = [backbone[name] for name in ('spatial', 'temporal', 'expert')
               if name in backbone]
    for expert in experts:
        expert.update(img_size=32, pretrained=None)
        if expert.type == 'CLIPExpert':
            expert.patch_size = 8
        if expert.type == 'TimmExpert':
            expert.model_kwargs = dict(embed_dim=48, depth=2, num_heads=4)
        else:
            expert.arch = arch
    if 'neck' in model:
        model.neck.update(in_channels=48, num_heads=4, num_layers=1)
    model.cls_head.in_channels = 48


@pytest.mark.parametrize('file', CONFIGS, ids=lambda file: file.stem)
def test_a_tiny_step(file):
    cfg = Config.fromfile(file)
    in_small(cfg)
    model = MODELS.build(cfg.model)
    optim = cfg.optim_wrapper
    optim.accumulative_counts = 1
    wrapper = build_optim_wrapper(model, optim)
    samples = []
    for label in (0, 1):
        sample = ActionDataSample().set_gt_label(label)
        for task in ('verb', 'noun'):
            sample.set_field(torch.tensor([label]), f'gt_{task}')
        samples.append(sample)
    data = dict(
        inputs=[torch.zeros(1, 3, 16, 32, 32).byte() + 9 * i
                for i in range(2)],
        data_samples=samples)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    losses = model.train_step(data, wrapper)
    assert torch.isfinite(losses['loss'])
    moved = {k for k, v in model.state_dict().items()
             if not torch.equal(before[k], v)}
    assert moved and moved <= {k for k, p in model.named_parameters()
                               if p.requires_grad}
