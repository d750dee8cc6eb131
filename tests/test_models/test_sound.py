"""CAVA and CA2ST: three experts, exchanges between pairs, heads."""
import copy

import pytest
import torch
from mmaction.registry import MODELS
from torch.utils.flop_counter import FlopCounterMode

from cast_mmaction.checkpoints import convert
from cast_mmaction.models.cast import Given
from cast_mmaction.models.expert import TokenSpec
from cast_mmaction.models.time_codes import frame_spans, sound_spans
from tests.golden import GoldenCase, relative_error
from tests.test_models.sound import (TINY, backbone_config, exchanges,
                                     experts, recognizer)

CASES = ('cava_small_fused', 'cava_small_verb_noun', 'ca2st_small_fused',
         'ca2st_small_shared_verb_noun', 'ca2st_small_parallel')


def golden_model(case, **backbone):
    size = case.model
    depth, first = size['depth'], size.get('audio_from_layer', 0)
    model = recognizer(
        case.case['kind'],
        size['composition'],
        dict(
            embed_dims=size['embed_dim'],
            num_layers=depth,
            num_heads=size['num_heads']),
        size['num_classes'],
        audio_layers=range(first, depth),
        sizes=dict(
            img_size=224,
            num_frames=size['all_frames'],
            audio=dict(
                num_mel_bins=size['mel_bins'],
                num_frames=size['spec_frames'])),
        exchange_order={
            'seq': 'sequential',
            'add': 'parallel'
        }[size.get('order', 'seq')],
        share_projections=size.get('share_projections', False),
        **backbone)
    model.load_state_dict(convert(case.state_dict(), case.case['kind']))
    return model.eval()


@pytest.mark.parametrize('name', CASES)
def test_golden_outputs(shared, name):
    case = GoldenCase(shared / 'golden', 'sound_cases', name)
    model = golden_model(case)
    features = model.backbone(imgs=case.clip(), audio=case.spectrogram())
    actual = {f'{name}_feature': x for name, x in features.items()}
    logits = model.cls_head(features)
    if isinstance(logits, tuple):
        actual.update(verb_logits=logits[0], noun_logits=logits[1])
    else:
        actual.update(logits=logits)
    assert actual.keys() == set(case.outputs)
    for key, value in actual.items():
        assert relative_error(value, case.outputs[key]) < 1e-4, key


@pytest.mark.parametrize('aliases', [True, False])
def test_shared_projections_convert_to_one(shared, aliases):
    case = GoldenCase(shared / 'golden', 'sound_cases',
                      'ca2st_small_shared_verb_noun')
    weights = case.state_dict()
    if not aliases:
        weights = {
            k: v
            for k, v in weights.items() if k not in case.case['aliases']
        }
    converted = convert(weights, 'ca2st')
    golden_model(case).load_state_dict(converted)
    assert not any('temporal_audio.audio_down' in key for key in converted)


def test_projections_of_which_one_differs_are_kept(shared):
    case = GoldenCase(shared / 'golden', 'sound_cases',
                      'ca2st_small_shared_verb_noun')
    weights = case.state_dict()
    alias = 'blocks.1.t_audio_b_cast.cross_r_down.bias'
    weights[alias] = weights[alias] + 1
    converted = convert(weights, 'ca2st')
    own = converted[
        'backbone.layers.1.exchange_temporal_audio.audio_down.bias']
    assert torch.equal(own, weights[alias])


# What follows runs on tiny models and needs no golden file.
CLIP = torch.randn(3, 3, 4, 32, 32, generator=torch.Generator().manual_seed(0))
SOUND = torch.randn(3, 1, 36, 32, generator=torch.Generator().manual_seed(1))
OPTIONS = [
    dict(),
    dict(exchange_order='parallel'),
    dict(share_projections=True, audio_layers=[1])
]


def filled(kind='ca2st', verb_noun=False, **options):
    """A tiny model whose residuals are not silenced by their zero start."""
    torch.manual_seed(0)
    model = recognizer(kind, verb_noun, **options)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=.1)
    return model.eval()


def run(model, **inputs):
    with torch.no_grad():
        features = model.backbone(**inputs)
        return features, model.cls_head(features)


@pytest.mark.parametrize('options', OPTIONS)
def test_starts_as_its_experts(options):
    backbone = recognizer(**options).backbone.eval()
    features = backbone(imgs=CLIP, audio=SOUND)
    assert list(features) == ['spatial', 'temporal', 'audio']
    for name, expert in backbone.named_experts().items():
        torch.testing.assert_close(features[name],
                                   expert(SOUND if name == 'audio' else CLIP))


def test_two_experts_by_name_are_cast():
    two = experts(TINY)
    del two['audio']
    by_name = MODELS.build(
        dict(
            type='CAST',
            experts=two,
            exchanges=[dict(type='BCAST', between=('spatial', 'temporal'))]))
    pair = MODELS.build(dict(type='CAST', **two))
    for backbone in (by_name, pair):
        torch.manual_seed(1)
        for parameter in backbone.parameters():
            torch.nn.init.normal_(parameter, std=.1)
    assert by_name.state_dict().keys() == pair.state_dict().keys()
    features = by_name(CLIP)
    for name, expected in zip(('spatial', 'temporal'), pair(CLIP)):
        assert torch.equal(features[name], expected)
    for head in (dict(type='CASTHead', num_classes=5),
                 dict(type='VerbNounHead')):
        head = MODELS.build(dict(head, in_channels=16))
        torch.testing.assert_close(head(features), head(pair(CLIP)))


@pytest.mark.parametrize('kind, verb_noun', [('cava', False), ('cava', True),
                                             ('ca2st', False),
                                             ('ca2st', True)])
@pytest.mark.parametrize('options', OPTIONS)
def test_without_sound_nothing_hears_it(kind, verb_noun, options):
    model = filled(kind, verb_noun, **options)
    has = torch.tensor([True, False, True])
    mixed, scores = run(model, imgs=CLIP, audio=SOUND, has_audio=has)
    full, full_scores = run(model, imgs=CLIP, audio=SOUND)
    silent, silent_scores = run(model, imgs=CLIP)
    noise, noise_scores = run(
        model, imgs=CLIP, audio=SOUND + 9 * ~has[:, None, None, None],
        has_audio=has)
    assert 'audio' not in silent and mixed['has_audio'] is has

    def check(actual, heard, unheard):
        torch.testing.assert_close(
            actual, torch.where(has[:, None], heard, unheard))
        assert not torch.allclose(heard, unheard)

    for name in silent:
        check(mixed[name], full[name], silent[name])
        assert torch.equal(mixed[name], noise[name])
    if verb_noun:
        for triple in zip(scores, full_scores, silent_scores):
            check(*triple)
    else:
        check(scores, full_scores, silent_scores)
        assert torch.equal(scores, noise_scores)


def test_one_by_one_and_at_once_differ():
    model, swapped, parallel = (
        filled(), filled(), filled(exchange_order='parallel'))
    for layer in swapped.backbone.layers:
        layer.rounds = layer.rounds[::-1]
    for layer in parallel.backbone.layers:
        assert [len(names) for names in layer.rounds] == [3]
    (a, _), (b, _), (c, _) = (
        run(x, imgs=CLIP, audio=SOUND) for x in (model, swapped, parallel))
    assert not torch.allclose(a['spatial'], b['spatial'])
    assert not torch.allclose(a['spatial'], c['spatial'])
    for layer in parallel.backbone.layers:
        layer.rounds[0].reverse()
    torch.testing.assert_close(
        run(parallel, imgs=CLIP, audio=SOUND)[0]['spatial'], c['spatial'])


@pytest.mark.parametrize('kind', ['cava', 'ca2st'])
@pytest.mark.parametrize('options', OPTIONS)
@pytest.mark.parametrize('verb_noun', [False, True])
def test_a_step_moves_all_that_is_trained_and_nothing_else(
        kind, options, verb_noun):
    model = filled(kind, verb_noun, **options)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1., weight_decay=1.)
    model.train()
    scores = model.cls_head(
        model.backbone(
            imgs=CLIP, audio=SOUND, has_audio=torch.tensor([1, 0, 1]).bool()))
    scores = scores if verb_noun else [scores]
    sum(x.square().mean() for x in scores).backward()
    optimizer.step()
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]) != (name in trained), name
    assert not any(name.startswith('backbone.audio.') for name in trained)


def gradients(model, **inputs):
    model.train().zero_grad()
    torch.manual_seed(1)
    features = model.backbone(**inputs)
    model.cls_head(features).square().mean().backward()
    return [p.grad for p in model.parameters() if p.requires_grad]


@pytest.mark.parametrize('option', [
    dict(with_cp=True),
    dict(compile=dict(backend='aot_eager')),
    dict(with_cp=True, compile=dict(backend='aot_eager'))
])
def test_options_change_nothing(option):
    inputs = dict(
        imgs=CLIP, audio=SOUND, has_audio=torch.tensor([1, 1, 0]).bool())
    options = dict(drop_path_rate=.5, share_projections=True)
    plain, other = filled(**options), filled(**options, **option)
    torch.testing.assert_close(
        gradients(other, **inputs), gradients(plain, **inputs))


def test_half_experts_change_nothing_under_autocast():
    full, half = filled(), filled(frozen_dtype='bfloat16')
    assert half.backbone.audio.blocks[0].mlp.fc1.weight.dtype == torch.bfloat16
    half.load_state_dict(full.state_dict())
    with torch.autocast('cpu', torch.bfloat16):
        actual, expected = (
            run(m, imgs=CLIP, audio=SOUND)[1] for m in (half, full))
    assert torch.equal(actual, expected)


def test_shared_projections_are_stored_once_and_copied_together():
    own, shares = filled(), filled(share_projections=True)
    missing = own.state_dict().keys() - shares.state_dict().keys()
    assert {name.rsplit('.', 2)[1] for name in missing} == {
        f'{name}_{part}'
        for name in ('spatial', 'temporal', 'audio') for part in ('down', 'up')
    }
    layer = copy.deepcopy(shares).backbone.layers[0]
    assert (layer.exchange_spatial_temporal.spatial_down is
            layer.exchange_spatial_audio.spatial_down)
    assert (layer.exchange_spatial_temporal.spatial_down
            is not shares.backbone.layers[0].exchange_spatial_temporal
            .spatial_down)


def test_drop_path_skips_attention_of_sound_alone():
    model = filled('cava', drop_path_rate=.5)
    layer = model.backbone.layers[1].train()
    layer.rounds = []
    layer.drop_path.drop_prob = 1 - 1e-9  # timm divides by what is kept
    blocks = model.backbone._stages()[1]
    x = {
        name: expert.embed(SOUND if name == 'audio' else CLIP)
        for name, expert in model.backbone.named_experts().items()
    }
    with torch.no_grad():
        attended = layer.attend(blocks, x, Given({}, {}))
    assert torch.equal(attended['audio'], x['audio'])
    assert not torch.equal(attended['spatial'], x['spatial'])


def build(**changes):
    return MODELS.build(dict(backbone_config(), **changes))


@pytest.mark.parametrize('changes, words', [
    (dict(exchanges=[dict(type='BCAST', between=('spatial', 'sound'))]),
     'spatial, temporal, audio'),
    (dict(exchanges=[dict(type='BCAST')]), 'name two'),
    (dict(exchanges=exchanges() + exchanges()[:1]), 'two exchanges'),
    (dict(exchanges=[dict(exchanges()[1], layers=[2])]), 'blocks 0 to 1'),
    (dict(exchanges=[dict(exchanges()[1], t2s_window='time')]), "'all'"),
    (dict(exchange_order='random'), 'sequential'),
    (dict(spatial=experts(TINY)['spatial']), 'either'),
    (dict(experts=dict(layers=experts(TINY)['audio'])), "'layers'"),
    (dict(share_projections=True,
          exchanges=[*exchanges()[:1], dict(exchanges()[1], ratio=.25)]),
     'ratio'),
    (dict(share_projections=True,
          exchanges=[dict(type='Lateral', between=('spatial', 'temporal'))]),
     'Lateral'),
    (dict(exchanges=[dict(exchanges()[1], directions=['t2s'])]), "'a2s'"),
])
def test_a_wrong_config_says_what_is_right(changes, words):
    with pytest.raises(ValueError, match=words):
        build(**changes)


def test_wrong_inputs_say_what_is_right():
    backbone = build()
    with pytest.raises(ValueError, match='imgs is missing'):
        backbone(audio=SOUND)
    with pytest.raises(ValueError, match='flow.*none of the experts'):
        backbone(imgs=CLIP, flow=CLIP)
    with pytest.raises(ValueError, match=r'\(B, 1, 36, 32\).*num_frames'):
        backbone(imgs=CLIP, audio=SOUND[:, :, :30])
    with pytest.raises(ValueError, match='smaller than a patch'):
        MODELS.build(dict(type='ASTExpert', num_mel_bins=8))


def test_experts_of_unequal_depth():
    arch = dict(TINY, num_layers=3)
    deep = experts(TINY)
    deep['audio'] = experts(arch)['audio']
    backbone = build(experts=deep).eval()
    assert [len(layer.audio_leads) for layer in backbone.layers] == [0, 1]
    torch.testing.assert_close(
        backbone(imgs=CLIP, audio=SOUND)['audio'], backbone.audio(SOUND))
    build(experts=deep, pairing=[(0, 0, 0), (1, 1, 2)])
    with pytest.raises(ValueError, match=r'end with \(1, 1, 2\)'):
        build(experts=deep, pairing=[(0, 0, 0), (1, 1, 1)])


def test_layer_groups_hold_everything_once():
    backbone = build(share_projections=True)
    groups = backbone.layer_groups()
    seen = [
        id(p) for group in groups for module in group
        for p in module.parameters()
    ]
    assert len(groups) == 3 and len(seen) == len(set(seen))


TIMES = dict(
    imgs_times=torch.tensor([[0., .5, 1., 1.5]] * 3),
    audio_times=torch.tensor([[0., 2.], [1., 3.], [0., 2.]]))


def timed(**options):
    changes = [
        dict(cfg, positions='time') if 'audio' in cfg['between'] else cfg
        for cfg in exchanges()
    ]
    torch.manual_seed(0)
    model = build(exchanges=changes, **options)
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, std=1 if 'time_codes' in name else .1)
    return model.eval()


def test_seconds_tell_when_a_token_is():
    """A patch at column c of any band lasts as long as its part."""
    spec = TokenSpec(16, 2, 1, (3, 4), 2, 'audio')
    spans = sound_spans(torch.tensor([[1., 5.], [0., 8.]]), spec, 2)
    assert spans.shape == (2, 1, 12, 2)
    bands = spans[:, 0].unflatten(1, (3, 4))
    assert bands[0, :, :, 0].tolist() == [[1, 1, 3, 3]] * 3
    assert bands[0, :, :, 1].tolist() == [[3, 3, 5, 5]] * 3
    assert bands[1, 2].tolist() == [[0, 4], [0, 4], [4, 8], [4, 8]]
    uneven = TokenSpec(16, 2, 1, (1, 39), 2, 'audio')
    begins = sound_spans(torch.tensor([[0., 8.]]), uneven, 8)[0, 0, :, 0]
    counts = [(begins == i).sum().item() for i in range(8)]
    assert sum(counts) == 39 and set(counts) <= {4, 5}
    frames = frame_spans(TIMES['imgs_times'], TokenSpec(16, 2, 2, (2, 2)))
    assert frames[0, :, 0].tolist() == [[0, .5], [1, 1.5]]


def test_positions_in_seconds():
    model = timed(exchange_order='parallel')
    assert set(model.time_codes) == {'imgs', 'audio'}
    layer = model.layers[0]
    assert layer.exchange_spatial_audio.a2s.query_positions is None
    assert layer.exchange_spatial_temporal.t2s.query_positions is not None

    def features(**times):
        with torch.no_grad():
            return model(imgs=CLIP, audio=SOUND, **dict(TIMES, **times))

    plain = features()
    later = features(audio_times=TIMES['audio_times'] + 1)
    assert not torch.allclose(plain['spatial'], later['spatial'])
    with pytest.raises(ValueError, match='audio_times'):
        features(audio_times=None)
    model(imgs=CLIP, imgs_times=TIMES['imgs_times'])  # without sound


def test_time_codes_learn_with_and_without_checkpoints():
    grads = []
    for with_cp in (False, True):
        model = timed(with_cp=with_cp).train()
        features = model(imgs=CLIP, audio=SOUND, **TIMES)
        sum(x.square().sum() for x in features.values()).backward()
        grads.append([p.grad for p in model.time_codes.parameters()])
    assert all(grad.any() for grad in grads[0])
    torch.testing.assert_close(*grads)


def test_widths_of_time_codes_must_agree():
    with pytest.raises(ValueError, match='widths'):
        build(exchanges=[
            dict(cfg, positions='time', ratio=ratio)
            for cfg, ratio in zip(exchanges(), (.5, .25))
        ])
    with pytest.raises(ValueError, match="'time'"):
        build(exchanges=[dict(exchanges()[0], positions='seconds')])


# Model, frames of sound, positions of sound, layers of sound, sharing; trained
# and all parameters in M, multiply-adds in G: ca2st.md, section 6.
@pytest.mark.parametrize('kind, frames, positions, first, share, figures', [
    ('cava', 1024, True, 0, False, (56.2, 228, 365)),
    ('cava', 400, 'time', 0, False, (43.8, 215, 242)),
    ('ca2st', 400, 'time', 9, True, (61.9, 320, 459)),
    ('ca2st', 1024, 'time', 0, True, (88.6, 346, 679)),
])
def test_size_and_cost(kind, frames, positions, first, share, figures):
    arch = dict(embed_dims=768, num_layers=12, num_heads=12)
    changes = [
        dict(cfg, positions=positions) if 'audio' in cfg['between'] else cfg
        for cfg in exchanges(kind, range(first, 12))
    ]
    with torch.device('meta'):
        model = recognizer(
            kind,
            arch=arch,
            sizes=dict(
                img_size=224, num_frames=16, audio=dict(num_frames=frames)),
            share_projections=share,
            changes=dict(exchanges=changes))
        inputs = dict(
            imgs=torch.zeros(1, 3, 16, 224, 224),
            audio=torch.zeros(1, 1, frames, 128),
            imgs_times=torch.zeros(1, 16),
            audio_times=torch.zeros(1, 2))
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model.eval().backbone(**inputs)
    model.cls_head.fc_cls = torch.nn.Identity()  # the figures leave it out
    trained, every, giga = figures
    counts = [(p.requires_grad, p.numel()) for p in model.parameters()]
    assert sum(n for _, n in counts) / 1e6 == pytest.approx(every, rel=.01)
    assert sum(n for t, n in counts if t) / 1e6 == pytest.approx(
        trained, rel=.01)
    assert counter.get_total_flops() / 2e9 == pytest.approx(giga, rel=.01)
