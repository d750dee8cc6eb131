"""Small random models of transformers, one of every class whose layout is
read here."""
from pathlib import Path
from typing import Callable, Dict

import pytest
from torch import nn

from .layouts import randomize

transformers = pytest.importorskip(
    'transformers', reason="its models are what the layouts are tested with")

SIZES = dict(
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=128,
    image_size=32,
    patch_size=16)
# The epsilon of VideoMAE's authors; that of the config class is 1e-12.
VIDEOMAE = dict(
    SIZES,
    num_frames=4,
    layer_norm_eps=1e-6,
    decoder_hidden_size=16,
    decoder_num_hidden_layers=1,
    decoder_num_attention_heads=2,
    decoder_intermediate_size=32)
VJEPA2 = dict(
    hidden_size=48,
    num_hidden_layers=2,
    num_attention_heads=2,
    mlp_ratio=2.5,
    crop_size=32,
    patch_size=16,
    frames_per_clip=6,
    num_pooler_layers=2,
    pred_hidden_size=48,
    pred_num_attention_heads=2,
    pred_num_hidden_layers=1)
TEXT = dict(
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=32,
    vocab_size=9,
    bos_token_id=1,
    eos_token_id=2,
    max_position_embeddings=4)
NAMES = {0: 'cut', 1: 'open', 2: 'wash'}


def _videomae(cls: str, **kwargs) -> nn.Module:
    return getattr(transformers, cls)(
        transformers.VideoMAEConfig(**VIDEOMAE, id2label=NAMES, **kwargs))


def _clip_vision(cls: str) -> nn.Module:
    return getattr(transformers, cls)(transformers.CLIPVisionConfig(**SIZES))


def _timesformer(scheme: str) -> nn.Module:
    return transformers.TimesformerForVideoClassification(
        transformers.TimesformerConfig(
            **SIZES, num_frames=3, attention_type=scheme, id2label=NAMES))


def _vjepa2(cls: str) -> nn.Module:
    return getattr(transformers,
                   cls)(transformers.VJEPA2Config(**VJEPA2, id2label=NAMES))


MODELS: Dict[str, Callable[[], nn.Module]] = {
    'VideoMAE':
    lambda: _videomae('VideoMAEModel'),
    'VideoMAE pre-training':
    lambda: _videomae('VideoMAEForPreTraining'),
    'VideoMAE pre-training with a norm':
    lambda: _videomae('VideoMAEForPreTraining', use_mean_pooling=False),
    'VideoMAE classifier':
    lambda: _videomae('VideoMAEForVideoClassification'),
    'CLIP':
    lambda: transformers.CLIPModel(
        transformers.CLIPConfig(vision_config=SIZES, text_config=TEXT)),
    'CLIP vision':
    lambda: _clip_vision('CLIPVisionModel'),
    'CLIP vision with projection':
    lambda: _clip_vision('CLIPVisionModelWithProjection'),
    'TimeSformer':
    lambda: _timesformer('divided_space_time'),
    'TimeSformer joint':
    lambda: _timesformer('joint_space_time'),
    'V-JEPA 2':
    lambda: _vjepa2('VJEPA2Model'),
    'V-JEPA 2 classifier':
    lambda: _vjepa2('VJEPA2ForVideoClassification'),
}


def make(name: str) -> nn.Module:
    """One of ``MODELS``, no part of it silent."""
    return randomize(MODELS[name]())


def save(name: str, folder: Path, **kwargs) -> nn.Module:
    """The same, written by ``save_pretrained``."""
    model = make(name)
    model.save_pretrained(folder, **kwargs)
    return model
