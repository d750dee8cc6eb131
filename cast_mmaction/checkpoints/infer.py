"""The model that converted weights are for, read off their shapes.

What leaves no trace in the shapes is taken as the published models have it:
heads of 64 channels (but for H and g), 16 frames of VideoMAE, 8 of
ST-Adapter, 224 pixels, a factor of 1 beside the MLPs of an AIM with two
temporal adapters.
"""
import math
import re
from typing import Callable, Dict, Optional

from .positions import AST_BANDS
from .rename import CheckpointError, StateDict

HEAD_DIMS = 64
# Widths whose published models have other heads: VideoMAE's and CLIP's H, g.
NUM_HEADS = {1280: 16, 1408: 16}
# Frames of AST's published spectrograms, by the columns of their patches.
SPECTROGRAMS = {39: 400, 101: 1024}
CONV = 'embedding.patch_embed.projection.weight'


def infer_model(state_dict: StateDict, source: str) -> dict:
    """The config of the model that converted weights belong to.

    Args:
        state_dict: As ``convert`` gives it.
        source: The source that it was converted from.

    Raises:
        CheckpointError: if the shapes do not tell; a config must be given.
    """
    try:
        return _INFER[source](state_dict)
    except KeyError as error:
        raise CheckpointError(
            f'there is no {error.args[0]} to read the sizes of the model '
            'from; give its config') from None


def _count(state_dict: StateDict, prefix: str) -> int:
    """Blocks under a prefix."""
    pattern = re.compile(re.escape(prefix) + r'(\d+)\.')
    found = [pattern.match(key) for key in state_dict]
    return max((int(m[1]) + 1 for m in found if m), default=0)


def _arch(dims: int, num_layers: int) -> dict:
    if dims % HEAD_DIMS:
        raise CheckpointError(
            f'a width of {dims} does not tell the number of heads; give the '
            "model's config")
    return dict(
        embed_dims=dims,
        num_layers=num_layers,
        num_heads=NUM_HEADS.get(dims, dims // HEAD_DIMS))


def _vit(state_dict: StateDict, prefix: str = '') -> dict:
    conv = state_dict[prefix + CONV]  # (D, 3, t, p, p)
    arch = _arch(conv.shape[0], _count(state_dict, f'{prefix}blocks.'))
    mlp_dims = len(state_dict[f'{prefix}blocks.0.mlp.fc1.weight'])
    if mlp_dims != 4 * arch['embed_dims']:
        arch['mlp_dims'] = mlp_dims
    return dict(arch=arch, patch_size=conv.shape[-1])


def _image_vit(state_dict: StateDict, prefix: str = '') -> dict:
    sizes = _vit(state_dict, prefix)
    patches = len(state_dict[f'{prefix}embedding.positions']) - 1
    return dict(sizes, img_size=math.isqrt(patches) * sizes['patch_size'])


def _clip(state_dict: StateDict) -> dict:
    return dict(type='CLIPExpert', **_image_vit(state_dict))


def _videomae(state_dict: StateDict, prefix: str = '') -> dict:
    return dict(
        type='VideoMAEExpert',
        tubelet_size=state_dict[prefix + CONV].shape[2],
        **_vit(state_dict, prefix))


def _cast(state_dict: StateDict) -> dict:
    layer = 'backbone.layers.0.'
    spatial = _image_vit(state_dict, 'backbone.spatial.')
    temporal = _videomae(state_dict, 'backbone.temporal.')
    step = temporal['tubelet_size']
    times = state_dict[f'{layer}exchange.t2s.query_positions.time']
    frames = dict(num_frames=len(times) * step)
    dims = spatial['arch']['embed_dims']
    down = state_dict[f'{layer}exchange.spatial_down.weight']
    adapter = state_dict[f'{layer}spatial.attn.down.weight']
    if 'cls_head.fc_verb.weight' in state_dict:
        head = dict(
            type='VerbNounHead',
            in_channels=dims,
            num_verbs=len(state_dict['cls_head.fc_verb.weight']),
            num_nouns=len(state_dict['cls_head.fc_noun.weight']))
    else:
        head = _head('CASTHead', state_dict, dims)
    return _recognizer(
        dict(
            type='CAST',
            spatial=dict(
                type='CLIPExpert', frame_stride=step, **spatial, **frames),
            temporal=dict(temporal, img_size=spatial['img_size'], **frames),
            exchange=dict(type='BCAST', ratio=len(down) / dims),
            adapter_ratio=len(adapter) / dims), head)


def _ast(state_dict: StateDict, prefix: str = '') -> dict:
    conv = state_dict[prefix + CONV]  # (D, 1, p, p)
    patches = len(state_dict[f'{prefix}embedding.spectrogram_positions']) - 2
    if patches % AST_BANDS:
        raise CheckpointError(
            f'{patches} patches do not tell the size of the spectrogram; '
            "give the model's config")
    columns = patches // AST_BANDS
    return dict(
        type='ASTExpert',
        arch=_arch(conv.shape[0], _count(state_dict, f'{prefix}blocks.')),
        patch_size=conv.shape[-1],
        # Some frames at the end may fill no patch.
        num_frames=SPECTROGRAMS.get(columns, 10 * columns + 6))


def _sound(state_dict: StateDict) -> dict:
    """CAVA or CA2ST; the order of the exchanges as in the authors' code."""
    layer = 'backbone.layers.{}.exchange'
    last = _count(state_dict, 'backbone.layers.') - 1
    three = f'backbone.temporal.{CONV}' in state_dict
    spatial = _image_vit(state_dict, 'backbone.spatial.')
    dims = spatial['arch']['embed_dims']
    pairs = [('spatial', 'temporal'), ('spatial', 'audio'),
             ('temporal', 'audio')] if three else [('spatial', 'audio')]

    def name(pair: tuple) -> str:
        return '_'.join((layer, *pair)) if three else layer

    sound = name(('spatial', 'audio'))
    step = 2
    experts = dict(spatial=dict(type='CLIPExpert', **spatial))
    if three:
        temporal = _videomae(state_dict, 'backbone.temporal.')
        step = temporal['tubelet_size']
        experts['temporal'] = dict(temporal, img_size=spatial['img_size'])
    steps = len(
        state_dict[f'{sound}.a2s.query_positions.time'.format(last)])
    for expert in experts.values():
        expert['num_frames'] = steps * step
    experts['spatial']['frame_stride'] = step
    experts['audio'] = _ast(state_dict, 'backbone.audio.')
    down = state_dict[f'{name(pairs[0])}.spatial_down.weight'.format(last)]
    exchanges = [
        dict(
            type='BCAST',
            between=pair,
            ratio=len(down) / dims,
            layers=[
                i for i in range(last + 1)
                if f'{name(pair)}.{pair[0]}_norm.weight'.format(i) in
                state_dict
            ]) for pair in pairs
    ]
    backbone = dict(
        type='CAST',
        experts=experts,
        exchanges=exchanges,
        adapter_ratio=len(
            state_dict['backbone.layers.0.spatial.attn.down.weight']) / dims)
    if three:
        backbone['share_projections'] = (
            f'{sound}.spatial_down.weight'.format(last) not in state_dict)
    kind = 'CA2ST' if three else 'CAVA'
    head = _head(f'{kind}Head', state_dict, dims)
    if 'cls_head.fc_verb.weight' in state_dict:
        head = dict(
            type=f'{kind}VerbNounHead',
            in_channels=dims,
            num_verbs=len(state_dict['cls_head.fc_verb.weight']),
            num_nouns=len(state_dict['cls_head.fc_noun.weight']))
    return dict(type='MMRecognizer3D', backbone=backbone, cls_head=head)


def _aim(state_dict: StateDict) -> dict:
    sizes = _image_vit(state_dict, 'backbone.expert.')
    dims = sizes['arch']['embed_dims']
    adapter = state_dict['backbone.layers.0.attn.down.weight']
    two = 'backbone.layers.0.temporal_in.down.weight' in state_dict
    return _recognizer(
        dict(
            type='AIM',
            num_frames=len(state_dict['backbone.time_positions']),
            adapter_ratio=len(adapter) / dims,
            num_temporal_adapters=2 if two else 1,
            ffn_adapter_scale=1. if two else 0.5,
            **sizes), _head('LinearHead', state_dict, dims))


def _st_adapter(state_dict: StateDict) -> dict:
    sizes = _image_vit(state_dict, 'backbone.expert.')
    layer = 'backbone.layers.0.'
    places = [
        place for place in ('attn', 'ffn')
        if f'{layer}{place}.down.weight' in state_dict
    ]
    if not places:
        raise KeyError(f'{layer}ffn.down.weight')
    adapter = state_dict[f'{layer}{places[0]}.down.weight']
    return _recognizer(
        dict(
            type='STAdapter',
            adapter_dims=len(adapter),
            places=tuple(places),
            **sizes),
        _head('LinearHead', state_dict, sizes['arch']['embed_dims']))


def _evl(state_dict: StateDict) -> dict:
    dims = len(state_dict['backbone.query'])
    layer = 'backbone.layers.0.'
    if f'backbone.expert.{CONV}' in state_dict:
        sizes = _image_vit(state_dict, 'backbone.expert.')
    else:  # published files leave the encoder out
        sizes = {
            768: dict(arch='base', patch_size=16),
            1024: dict(arch='large', patch_size=14)
        }.get(dims)
        if sizes is None:
            raise KeyError('encoder of a known size')
    times = state_dict.get(f'{layer}time_positions')
    return _recognizer(
        dict(
            type='EVL',
            num_frames=8 if times is None else len(times),
            num_decoder_layers=_count(state_dict, 'backbone.layers.'),
            temporal_conv=f'{layer}conv.weight' in state_dict,
            temporal_positions=times is not None,
            cross_frame=f'{layer}cross_frame.next' in state_dict,
            **sizes), _head('LinearHead', state_dict, dims))


def _timesformer(state_dict: StateDict) -> dict:
    sizes = _image_vit(state_dict, 'backbone.')
    times = state_dict.get('backbone.embedding.time_positions')
    scheme = 'space' if times is None else 'joint'
    if 'backbone.blocks.0.steps.0.norm.weight' in state_dict:
        scheme = 'divided'
    return _recognizer(
        dict(
            type='SpaceTimeViT',
            scheme=scheme,
            num_frames=8 if times is None else len(times),
            **sizes),
        _head('LinearHead', state_dict, sizes['arch']['embed_dims']))


def _mmaction(state_dict: StateDict) -> dict:
    if 'backbone.embedding.positions' in state_dict:
        return _timesformer(state_dict)
    backbone = _videomae(state_dict, 'backbone.')
    dims = backbone['arch']['embed_dims']
    return _recognizer(backbone, _head('LinearHead', state_dict, dims))


def _head(kind: str, state_dict: StateDict, dims: int) -> Optional[dict]:
    classes = state_dict.get('cls_head.fc_cls.weight')
    if classes is None:
        return None
    return dict(type=kind, in_channels=dims, num_classes=len(classes))


def _recognizer(backbone: dict, head: Optional[dict]) -> dict:
    return dict(type='Recognizer3D', backbone=backbone, cls_head=head)


_INFER: Dict[str, Callable[[StateDict], dict]] = {
    'aim': _aim,
    'ast': _ast,
    'ca2st': _sound,
    'cast': _cast,
    'cava': _sound,
    'clip': _clip,
    'evl': _evl,
    'mmaction': _mmaction,
    'st_adapter': _st_adapter,
    'timesformer': _timesformer,
    'videomae': _videomae,
}
