"""B-CAST behind a backbone of the host."""
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper

import cast_mmaction  # noqa: F401
from tests.conftest import ROOT

CONFIG = (ROOT / 'configs/slowfast_bcast' /
          'slowfast-r50-bcast_8xb8-dense-32x2x1-256e_kinetics400-rgb.py')


def tiny():
    cfg = Config.fromfile(CONFIG)
    cfg.model.backbone.slow_pathway.base_channels = 16
    cfg.model.backbone.fast_pathway.base_channels = 2
    cfg.model.neck.spatial.update(embed_dims=512, grid=(2, 2))
    cfg.model.neck.temporal.update(embed_dims=64, grid=(2, 2))
    cfg.model.cls_head.update(in_channels=576, num_classes=3)
    return cfg


def batch(count=2):
    samples = [ActionDataSample().set_gt_label(i) for i in range(count)]
    clip = torch.randint(256, (1, 3, 32, 64, 64), dtype=torch.uint8)
    return dict(inputs=[clip] * count, data_samples=samples)


def test_a_tiny_one_trains_and_predicts():
    torch.manual_seed(0)
    cfg = tiny()
    model = MODELS.build(cfg.model)
    model.init_weights()
    # Zero starts silence the gradients behind them: fill them first.
    for up in (model.neck.spatial_up, model.neck.temporal_up):
        torch.nn.init.normal_(up.weight)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    before = {k: v.clone() for k, v in model.neck.state_dict().items()}
    losses = model.train_step(batch(), wrapper)
    assert torch.isfinite(losses['loss'])
    for name, value in model.neck.state_dict().items():
        assert not torch.equal(value, before[name]), name
    scores = [sample.pred_score for sample in model.test_step(batch())]
    assert all(abs(score.sum() - 1) < 1e-5 for score in scores)


def test_the_stated_maps_are_those_of_the_backbone():
    cfg = Config.fromfile(CONFIG)
    with torch.device('meta'):
        backbone = MODELS.build(cfg.model.backbone)
        neck = MODELS.build(cfg.model.neck)
        maps = backbone(torch.zeros(1, 3, 32, 224, 224))
        out, losses = neck(maps)
    assert [x.shape for x in out] == [x.shape for x in maps]
    assert losses == {}


def test_the_data_fit():
    cfg = Config.fromfile(CONFIG)
    for split in ('train', 'val', 'test'):
        pipeline = cfg[f'{split}_dataloader'].dataset.pipeline
        assert (pipeline[1].clip_len, pipeline[1].frame_interval) == (32, 2)
        assert all('RandAugment' not in step.type for step in pipeline)
