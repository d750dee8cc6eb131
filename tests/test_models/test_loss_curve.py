"""A short training against a stored curve: what must not change, does not."""
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.optim import OptimWrapper

from cast_mmaction.models.attention import eager_kernel, use_kernel

CURVE = [
    1.51041, 1.42196, 1.46912, 1.39673, 1.42946, 1.37206, 1.38977, 1.34753
]


def train(steps=8, **backbone):
    """Losses of a tiny CAST on two fixed batches of made-up clips.

    Weights and clips come from numpy, whose streams are frozen, so that the
    curve holds on any machine and version.
    """
    expert = dict(
        arch=dict(embed_dims=24, num_layers=2, num_heads=2),
        img_size=32,
        num_frames=4)
    model = MODELS.build(
        dict(
            type='Recognizer3D',
            data_preprocessor=dict(
                type='ActionDataPreprocessor',
                mean=[123.675, 116.28, 103.53],
                std=[58.395, 57.12, 57.375],
                format_shape='NCTHW'),
            backbone=dict(
                type='CAST',
                spatial=dict(type='CLIPExpert', **expert),
                temporal=dict(type='VideoMAEExpert', **expert),
                **backbone),
            cls_head=dict(
                type='CASTHead',
                in_channels=24,
                num_classes=4,
                label_smooth_eps=.1)))
    random = np.random.RandomState(0)
    for parameter in model.parameters():
        values = .1 * random.standard_normal(parameter.shape)
        parameter.data = torch.from_numpy(values).float()
    optimizer = OptimWrapper(
        torch.optim.AdamW([p for p in model.parameters() if p.requires_grad],
                          lr=3e-3))
    batches = []
    for _ in range(2):
        clips = random.randint(0, 256, (4, 1, 3, 4, 32, 32), dtype=np.uint8)
        labels = random.randint(0, 4, 4)
        batches.append(
            dict(
                inputs=list(torch.from_numpy(clips)),
                data_samples=[
                    ActionDataSample().set_gt_label(int(label))
                    for label in labels
                ]))
    model.train()
    losses = []
    for step in range(steps):
        log = model.train_step(dict(batches[step % 2]), optimizer)
        losses.append(log['loss'].item())
    return losses


@pytest.mark.parametrize('with_cp', [False, True])
@pytest.mark.parametrize('kernel', [None, eager_kernel])
def test_the_curve_is_the_stored_one(with_cp, kernel):
    with use_kernel(kernel) if kernel else nullcontext():
        assert train(with_cp=with_cp) == pytest.approx(CURVE, rel=1e-4)


@pytest.mark.parametrize('with_cp', [False, True])
def test_compiling_keeps_the_curve(with_cp):
    assert train(
        with_cp=with_cp, compile=dict(backend='aot_eager')) == pytest.approx(
            CURVE, rel=1e-4)
