"""Recognizers of the golden peer cases."""
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.optim import OptimWrapper

import cast_mmaction  # noqa: F401
from cast_mmaction.checkpoints import convert

TINY = dict(embed_dims=16, num_layers=2, num_heads=2)


def build(backbone, num_classes=10, **head):
    """A recognizer of a backbone; None for no head."""
    cfg = dict(type='Recognizer3D', backbone=backbone)
    if num_classes:
        cfg.update(
            data_preprocessor=dict(
                type='ActionDataPreprocessor',
                mean=[123.675, 116.28, 103.53],
                std=[58.395, 57.12, 57.375],
                format_shape='NCTHW'),
            cls_head=dict(
                type='LinearHead', num_classes=num_classes, **head))
    return MODELS.build(cfg)


def golden(case, source, backbone):
    """The recognizer with the weights of a golden case."""
    size = case.model
    backbone.update(
        arch=dict(
            embed_dims=size.get('embed_dim') or size.get('width')
            or size['feature_dim'],
            num_layers=size.get('depth') or size.get('layers')
            or size['encoder_layers'],
            num_heads=size['heads']),
        img_size=size.get('img_size', 224),
        num_frames=size['num_frames'])
    head = source != 'aim'  # the case has no classifier
    model = build(
        backbone, num_classes=10 if head else None, **(dict(
            in_channels=backbone['arch']['embed_dims']) if head else {}))
    model.load_state_dict(convert(case.state_dict(), source))
    return model.eval()


def counted(cfg, num_classes=400, width=768):
    """Trainable and all parameters of the full size, in millions."""
    with torch.device('meta'):
        model = build(cfg, num_classes, in_channels=width)
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    return sum(n for n, t in sizes if t) / 1e6, sum(n for n, _ in sizes) / 1e6


def multiply_adds(backbone, frames, img_size=224):
    """Multiply-adds of one view, in G."""
    from torch.utils.flop_counter import FlopCounterMode
    with torch.device('meta'):
        model = MODELS.build(backbone).eval().requires_grad_(False)
        clip = torch.empty(1, 3, frames, img_size, img_size)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(clip)
    return counter.get_total_flops() / 2e9


def step(model, frames, img_size=32, lr=1.):
    """One training step; names of the tensors that moved.

    Without weight decay, which would move what gets no gradient.
    """
    samples = [ActionDataSample().set_gt_label(i) for i in range(2)]
    if type(model.cls_head).__name__ == 'VerbNounHead':
        for i, sample in enumerate(samples):
            sample.gt_verb = sample.gt_noun = torch.tensor([i])
    clip = torch.randint(0, 256, (1, 3, frames, img_size, img_size),
                         dtype=torch.uint8)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    optimizer = OptimWrapper(
        torch.optim.SGD([p for p in model.parameters() if p.requires_grad],
                        lr=lr))
    model.train()
    log = model.train_step(
        dict(inputs=[clip, clip.flip(-1)], data_samples=samples), optimizer)
    assert torch.isfinite(log['loss'])
    return {
        k for k, v in model.state_dict().items()
        if not torch.equal(v, before[k])
    }


def fill(model):
    """Zero starts silence the gradients behind them."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=.1)
