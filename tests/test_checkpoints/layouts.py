"""Small random models under the names of other codebases, with the
implementation that the names come from where a library ships one."""
import math
from typing import Dict

import open_clip
import torch
from mmaction.registry import MODELS
from torch import Tensor, nn

StateDict = Dict[str, Tensor]

ARCH = dict(embed_dims=32, num_layers=2, num_heads=2)
SIZES = dict(arch=ARCH, img_size=32, num_frames=4)
CLIP_LAYOUTS = ('openai', 'open_clip', 'visual only', 'data-parallel',
                'as a backbone')
VIDEOMAE_LAYOUTS = ('pre-training', 'encoder of a pre-training',
                    'fine-tuning', 'data-parallel', 'MVD pre-training',
                    'MMAction2')


def randomize(model: nn.Module, seed: int = 0) -> nn.Module:
    """Fills a model so that no part of it is silent."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(.2 * noise + (parameter.dim() == 1))
    return model.eval()


def clip_model() -> nn.Module:
    """A whole CLIP of open_clip, OpenAI's activation."""
    return randomize(
        open_clip.model.CLIP(
            embed_dim=16,
            vision_cfg=dict(
                layers=2, width=32, head_width=16, patch_size=16,
                image_size=32),
            text_cfg=dict(
                context_length=4, vocab_size=9, width=16, heads=2, layers=1),
            quick_gelu=True))


def host_videomae(**kwargs) -> nn.Module:
    """MMAction2's recognizer with VideoMAE's transformer."""
    return randomize(
        MODELS.build(
            dict(
                type='Recognizer3D',
                backbone=dict(
                    type='mmaction.VisionTransformer',
                    img_size=32,
                    embed_dims=32,
                    depth=2,
                    num_heads=2,
                    num_frames=4,
                    **kwargs),
                cls_head=dict(
                    type='TimeSformerHead',
                    num_classes=5,
                    in_channels=32,
                    average_clips='prob'))))


def mvd_positions() -> Tensor:
    """The table that MVD stores for these sizes, number by number."""

    def wave(place: int, channel: int, dims: int) -> float:
        half = dims // 2
        angle = place / 10000**(channel % half / half)
        return math.sin(angle) if channel < half else math.cos(angle)

    return torch.tensor([[
        *(wave(t, c, 8) for c in range(8)),
        *(wave(x, c, 12) for c in range(12)),
        *(wave(y, c, 12) for c in range(12)),
    ] for t in range(2) for y in range(2) for x in range(2)])[None]


def clip_layouts() -> Dict[str, StateDict]:
    """One image encoder in every layout that CLIP comes in."""
    full = clip_model().state_dict()
    visual = {
        k[len('visual.'):]: v
        for k, v in full.items() if k.startswith('visual.')
    }
    sizes = ('input_resolution', 'context_length', 'vocab_size')
    return {
        'openai': dict(full, **{k: torch.tensor(7) for k in sizes}),
        'open_clip': full,
        'visual only': visual,
        'data-parallel': {f'module.{k}': v
                          for k, v in full.items()},
        'as a backbone': {f'backbone.{k}': v
                          for k, v in visual.items()},
    }


def videomae_layouts() -> Dict[str, StateDict]:
    """One encoder in every layout that VideoMAE, V2 and MVD come in."""
    host = {
        k[len('backbone.'):]: v
        for k, v in host_videomae().state_dict().items()
        if k.startswith('backbone.')
    }
    names = (('patch_embed.projection', 'patch_embed.proj'),
             ('mlp.layers.0.0', 'mlp.fc1'), ('mlp.layers.1', 'mlp.fc2'))
    official = {}
    for key, value in host.items():
        for theirs, ours in names:
            key = key.replace(theirs, ours)
        official[key] = value
    del official['pos_embed']
    bare = {k: v for k, v in official.items() if 'fc_norm' not in k}
    norm = {'norm.weight': torch.ones(32), 'norm.bias': torch.zeros(32)}
    one = torch.ones(1)
    return {
        'pre-training': {
            **{f'encoder.{k}': v
               for k, v in {**bare, **norm}.items()},
            'encoder_to_decoder.weight': one, 'mask_token': one,
            'decoder.blocks.0.norm1.weight': one, 'decoder.head.bias': one
        },
        'encoder of a pre-training': {
            f'encoder.{k}': v
            for k, v in {**bare, **norm}.items()
        },
        'fine-tuning': {**official, 'head.weight': one, 'head.bias': one},
        'data-parallel': {
            f'module.{k}': v
            for k, v in official.items()
        },
        'MVD pre-training': {
            **bare, **norm, 'mask_token_img': one, 'mask_token_vid': one,
            'down_img.weight': one, 'decoder_vid.blocks.0.norm1.bias': one,
            'pos_embed_img': one, 'pos_embed': mvd_positions()
        },
        'MMAction2': host_videomae().state_dict(),
    }
