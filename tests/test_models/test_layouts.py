"""``out_layout``: every backbone under the heads of the host."""
import sys
from types import ModuleType

import pytest
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from torchvision.ops import RoIAlign

from cast_mmaction.engine.sizes import check_model
from cast_mmaction.models.layouts import join_maps

D, T, GRID = 16, 4, (3, 3)
SIZE = dict(
    arch=dict(embed_dims=D, num_layers=2, num_heads=2),
    img_size=24,
    patch_size=8)
CLIP = dict(num_frames=T, **SIZE)
SPATIAL = dict(type='CLIPExpert', num_frames=8, frame_stride=2, **SIZE)
TEMPORAL = dict(type='VideoMAEExpert', num_frames=8, tubelet_size=2, **SIZE)
ONE_STREAM = dict(
    EVL=dict(type='EVL', num_decoder_layers=2, dropout=0., **CLIP),
    AIM=dict(type='AIM', **CLIP),
    STAdapter=dict(type='STAdapter', adapter_dims=8, **CLIP),
    AdaptedExpert=dict(
        type='AdaptedExpert',
        expert=dict(type='CLIPExpert', frame_stride=1, **CLIP)))
BACKBONES = dict(
    CAST=dict(type='CAST', spatial=SPATIAL, temporal=TEMPORAL), **ONE_STREAM)
WIDTHS = dict(CAST=2 * D, **dict.fromkeys(ONE_STREAM, D))


def clips(backbone, count=2):
    frames = 8 if backbone['type'] == 'CAST' else T
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, 3, frames, 24, 24, generator=generator)


def build(backbone, layout=None, trained=False):
    """The same weights whatever the layout; adapters moved off zero."""
    torch.manual_seed(0)
    model = MODELS.build(dict(backbone, out_layout=layout)).train(trained)
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += .1 * torch.randn(
                parameter.shape, generator=generator)
    return model


@pytest.fixture(params=BACKBONES)
def backbone(request):
    return BACKBONES[request.param]


def test_features_are_those_without_a_layout(backbone):
    plain = build(backbone)(clips(backbone))
    if not isinstance(plain, tuple):
        plain = (plain.flatten(2).mean(2) if plain.dim() > 2 else plain, )
    for layout, expected in (('sum', sum(plain)), ('concat',
                                                   torch.cat(plain, 1))):
        found = build(backbone, layout)(clips(backbone))
        torch.testing.assert_close(found, expected)


def test_a_pair():
    backbone = BACKBONES['CAST']
    pair = build(backbone, 'pair')(clips(backbone))
    torch.testing.assert_close(pair, build(backbone)(clips(backbone)))
    named = dict(
        type='CAST',
        experts=dict(a=SPATIAL, b=TEMPORAL),
        exchanges=[dict(type='BCAST', between=('a', 'b'))])
    pair = build(named, 'pair')(clips(backbone))
    assert isinstance(pair, tuple) and pair[0].shape == (2, D)


def test_maps_keep_places_and_moments():
    """A patch of a clip shows at its place: here the experts alone."""
    for cfg in (SPATIAL, TEMPORAL):
        expert = MODELS.build(cfg).eval()
        x = torch.zeros(1, T, expert.spec.num_patches +
                        expert.spec.num_prefix_tokens, D)
        x[0, 2, expert.spec.num_prefix_tokens + 5, 0] = 9.
        places = expert.patch_map(x)[0].abs().sum(0).nonzero()
        assert places.tolist() == [[2, 1, 2]]


def test_a_map_for_i3d_heads(backbone):
    width = WIDTHS[backbone['type']]
    model = MODELS.build(
        dict(
            type='Recognizer3D',
            backbone=dict(backbone, out_layout='map'),
            cls_head=dict(
                type='I3DHead',
                in_channels=width,
                num_classes=3,
                average_clips='prob'))).train()
    inputs = clips(backbone)
    samples = [ActionDataSample().set_gt_label(i) for i in range(2)]
    feats, _ = model.extract_feat(inputs[:, None])
    assert feats.shape == (2, width, T, *GRID)
    losses = model.loss(inputs[:, None], samples)
    losses['loss_cls'].backward()
    assert all(p.grad is not None for p in model.backbone.parameters()
               if p.requires_grad)
    for sample in model.eval().predict(inputs[:, None], samples):
        assert sample.pred_score.shape == (3, )


def test_vectors_for_timesformer_heads(backbone):
    head = MODELS.build(
        dict(
            type='TimeSformerHead',
            in_channels=WIDTHS[backbone['type']],
            num_classes=3)).eval()
    model = build(backbone, 'concat', trained=True)
    assert head(model(clips(backbone))).shape == (2, 3)


@pytest.fixture
def detection(monkeypatch):
    """The host's extractor and head of boxes, for which full mmcv and mmdet
    are stood in: torchvision's RoIAlign is the same operator."""

    class FromTorchvision(RoIAlign):

        def __init__(self, output_size, spatial_scale, sampling_ratio,
                     pool_mode, aligned):
            super().__init__(output_size, spatial_scale, sampling_ratio,
                             aligned)

    def stand_in(name, **content):
        module = ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)

    stand_in('mmcv.ops', RoIAlign=FromTorchvision, RoIPool=None)
    samplers = 'mmdet.models.task_modules.samplers'
    for name in ('mmdet', 'mmdet.models', 'mmdet.models.task_modules'):
        stand_in(name)
    stand_in(samplers, SamplingResult=object)
    from mmaction.models.roi_heads.bbox_heads.bbox_head import BBoxHeadAVA
    from mmaction.models.roi_heads.roi_extractors import SingleRoIExtractor3D
    yield SingleRoIExtractor3D, BBoxHeadAVA
    for name in [x for x in sys.modules if 'roi_heads.bbox_heads' in x]:
        del sys.modules[name]


def test_a_map_for_detection(backbone, detection):
    """AVA: a map, boxes of pixels, a score for every box and class."""
    extractor, head = detection
    width = WIDTHS[backbone['type']]
    maps = build(backbone, 'map')(clips(backbone))
    boxes = torch.tensor([[0, 0., 0., 16., 16.], [1, 8., 8., 24., 24.],
                          [1, 0., 0., 24., 24.]])  # clip, x, y, x, y
    extract = extractor(featmap_stride=8, output_size=2)
    regions, _ = extract(maps, boxes)
    assert regions.shape == (3, width, 1, 2, 2)
    scores = head(
        background_class=True, in_channels=width, num_classes=5,
        topk=(2, ))(regions)
    assert scores.shape == (3, 5)


@pytest.mark.parametrize('layout', ['concat', 'map'])
def test_features_per_clip_for_localisation(layout):
    """BMN: a feature for each of the moments of a long video."""
    backbone = BACKBONES['CAST']
    with torch.no_grad():
        out = build(backbone, layout)(clips(backbone, count=8))
        if layout == 'map':  # each clip's own moments, too
            out = out.mean((3, 4)).transpose(1, 2).flatten(0, 1)  # (8*T, C)
    moments = len(out)
    bmn = MODELS.build(
        dict(
            type='BMN',
            temporal_dim=moments,
            boundary_ratio=.5,
            num_samples=4,
            num_samples_per_bin=2,
            feat_dim=2 * D,
            hidden_dim_1d=8,
            hidden_dim_2d=8,
            hidden_dim_3d=8,
            soft_nms_alpha=.4,
            soft_nms_low_threshold=.5,
            soft_nms_high_threshold=.9,
            post_process_top_k=5))
    confidence, begin, end = bmn([out.T], None, mode='tensor')
    assert begin.shape == end.shape == (1, moments)
    assert confidence.shape == (1, 2, moments, moments)


def test_maps_of_unequal_experts_are_resampled():
    one, other = torch.ones(1, 2, 4, 3, 3), torch.ones(1, 5, 2, 6, 6)
    assert join_maps([one, other]).shape == (1, 7, 4, 3, 3)


WIDER = dict(TEMPORAL, arch=dict(embed_dims=24, num_layers=2, num_heads=2))
HEARD = dict(
    type='ASTExpert',
    arch=SIZE['arch'],
    num_mel_bins=16,
    num_frames=32,
    patch_size=8,
    stride=8)


@pytest.mark.parametrize('cfg, layout, message', [
    (BACKBONES['CAST'], 'maps', "use one of .*'pair'.*'map'"),
    (BACKBONES['AIM'], 'pair', "of two streams.*'concat'"),
    (dict(BACKBONES['CAST'], temporal=WIDER), 'sum', r'\[16, 24\]'),
    (dict(type='CAST', experts=dict(spatial=SPATIAL, audio=HEARD),
          exchanges=[]), 'concat', 'sound'),
])
def test_what_does_not_fit_is_refused(cfg, layout, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(dict(cfg, out_layout=layout))


@pytest.mark.parametrize('layout, width', [('concat', 2 * D), ('sum', D)])
def test_the_sizes_of_a_config_are_checked(layout, width):
    def model(width):
        return MODELS.build(
            dict(
                type='Recognizer3D',
                backbone=dict(BACKBONES['CAST'], out_layout=layout),
                cls_head=dict(
                    type='LinearHead', in_channels=width, num_classes=3)))

    check_model(model(width), {})
    with pytest.raises(ValueError, match='in_channels=7'):
        check_model(model(7), {})
