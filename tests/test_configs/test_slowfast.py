"""A convolutional backbone of the host with the verb and noun head."""
import pytest
import torch

import cast_mmaction  # noqa: F401  (registers)
from mmaction.registry import METRICS, MODELS
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import BaseDataElement

from tests.conftest import ROOT

PATH, = (ROOT / 'configs/slowfast').glob('*8xb4*ek100*.py')


@pytest.fixture(scope='module')
def model():
    init_default_scope('mmaction')
    cfg = Config.fromfile(PATH)
    for pathway in ('slow_pathway', 'fast_pathway'):
        cfg.model.backbone[pathway].update(depth=18, base_channels=8)
    cfg.model.backbone.fast_pathway.base_channels = 1
    cfg.model.cls_head.in_channels = 8 * 8 + 8
    model = MODELS.build(cfg.model)
    model.init_weights()
    return model


def batch(clips, views):
    samples = []
    for i in range(clips):
        sample = ActionDataSample(metainfo=dict(narration_id=f'P01_1_{i}'))
        sample.set_field(torch.tensor([5]), 'gt_verb')
        sample.set_field(torch.tensor([7]), 'gt_noun')
        samples.append(sample)
    shape = (views, 3, 32, 32, 32)
    return dict(
        inputs=list(torch.randint(256, (clips, *shape), dtype=torch.uint8)),
        data_samples=samples)


def test_training_step(model):
    model.train()
    data = model.data_preprocessor(batch(2, 1), training=True)
    losses = model(**data, mode='loss')
    assert {'loss_verb', 'loss_noun', 'verb_top1_acc'} <= losses.keys()
    model.parse_losses(losses)[0].backward()
    # Batch norms are frozen, as in the published baseline.
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm3d)]
    frozen = {p for norm in norms for p in norm.parameters()}
    assert frozen and not any(norm.training for norm in norms)
    for parameter in model.parameters():
        assert (parameter.grad is None) == (parameter in frozen)


def test_views_are_averaged_and_scored(model):
    model.eval()
    data = batch(2, 6)
    with torch.no_grad():
        samples = model.test_step(data)
    metric = METRICS.build(Config.fromfile(PATH).test_evaluator)
    metric.process(data, [BaseDataElement.to_dict(s) for s in samples])
    assert samples[0].pred_score['noun'].shape == (300, )
    assert samples[0].pred_score['verb'].sum() == pytest.approx(1)
    assert 'all/action_top1' in metric.evaluate(2)
