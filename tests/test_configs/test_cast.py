"""The headline configs: the paper's recipes, and a tiny step of each."""
import pytest
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper

from tests.conftest import ROOT

# reference-models: trained M, epochs, lr at 16 GPUs, clips a step, drop path,
# mixup's probability, sampling, test views (clips, crops), flip
RECIPES = dict(
    k400=(45.379, 70, 2.25e-3, 576, .2, .5, 'dense', 5, True),
    ssv2=(45.205, 50, 1.5e-3, 384, .3, .9, 'uniform', 2, False),
    ek100=(44.785, 50, 1.5e-3, 384, .2, .9, 'uniform', 2, True))


# With VideoMAE as it is pre-trained without labels.
SELF_SUPERVISED = [
    path.stem
    for path in sorted((ROOT / 'configs/cast').glob('*-selfsup-pre_*.py'))
]


def load(name):
    folder, name = ('cast/', name) if '-' in name else ('', f'cast_{name}')
    return Config.fromfile(ROOT / f'configs/{folder}{name}.py')


def steps(pipeline):
    return {step['type']: step for step in pipeline}


@pytest.mark.parametrize('name', RECIPES)
def test_the_recipe_is_the_papers(name):
    cfg = load(name)
    (trained, epochs, lr, clips, drop_path, mixup, sampling, test_clips,
     flip) = RECIPES[name]
    with torch.device('meta'):
        model = MODELS.build(
            {k: v for k, v in cfg.model.items() if k != 'data_preprocessor'})
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert count / 1e6 == pytest.approx(trained, abs=5e-4)

    optim = cfg.optim_wrapper
    step = 16 * cfg.train_dataloader.batch_size * optim.accumulative_counts
    assert step == clips
    assert cfg.auto_scale_lr.enable and cfg.auto_scale_lr.count_accumulation
    scaled = optim.optimizer.lr * step / cfg.auto_scale_lr.base_batch_size
    assert scaled == pytest.approx(lr)
    assert optim.optimizer.type == 'AdamW'
    assert tuple(optim.optimizer.betas) == (.9, .999)
    assert optim.optimizer.weight_decay == .05
    assert optim.paramwise_cfg.layer_decay_rate == .75
    schedule, = cfg.param_scheduler
    assert (schedule.warmup, schedule.eta_min_ratio) == (5, 1e-3)
    assert cfg.train_cfg.max_epochs == epochs

    assert cfg.model.backbone.drop_path_rate == drop_path
    assert cfg.model.cls_head.label_smooth_eps == .1
    assert cfg.model.cls_head.average_clips == 'prob'
    blending = cfg.model.data_preprocessor.blending
    blending = blending.get('augment', blending)
    assert blending.probs == mixup
    assert blending.augments.alpha == .8

    train = steps(cfg.train_dataloader.dataset.pipeline)
    assert ('Flip' in train) == flip
    assert train['ClipRandAugment'].policy == 'rand-m7-n4-mstd0.5-inc1'
    assert train['ClipSampleFrames'].mode == sampling
    test = steps(cfg.test_dataloader.dataset.pipeline)
    assert test['ClipSampleFrames'].mode == sampling
    assert test['ClipSampleFrames'].num_clips == test_clips
    assert 'ThreeViewCrop' in test


def test_two_recipes_are_self_supervised():
    assert len(SELF_SUPERVISED) == 2
    for name in SELF_SUPERVISED:
        temporal = load(name).model.backbone.temporal
        assert temporal.pretrained_kind == 'pre-trained'


@pytest.mark.parametrize('name', [*RECIPES, 'demo', *SELF_SUPERVISED])
def test_a_tiny_twin_takes_a_step(name):
    cfg = load(name)
    for expert in ('spatial', 'temporal'):
        cfg.model.backbone[expert].update(
            arch=dict(embed_dims=16, num_layers=2, num_heads=2),
            img_size=32,
            patch_size=16,
            pretrained=None)
    cfg.model.cls_head.in_channels = 16
    model = MODELS.build(cfg.model)
    cfg.optim_wrapper.accumulative_counts = 1
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    frames = cfg.model.backbone.spatial.num_frames
    samples = []
    for label in range(2):
        sample = ActionDataSample().set_gt_label(label)
        sample.set_field(torch.tensor([label]), 'gt_verb')
        sample.set_field(torch.tensor([label]), 'gt_noun')
        samples.append(sample)
    clip = torch.randint(256, (1, 3, frames, 32, 32), dtype=torch.uint8)
    before = {n: p.clone() for n, p in model.named_parameters()}
    model.train()
    log = model.train_step(
        dict(inputs=[clip] * 2, data_samples=samples), optimizer)
    assert log['loss'].isfinite()
    moved = {
        n
        for n, p in model.named_parameters() if not torch.equal(p, before[n])
    }
    assert moved
    assert moved <= {n for n, p in model.named_parameters() if p.requires_grad}
