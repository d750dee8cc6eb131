import pytest
import torch
from mmaction.registry import MODELS
from torch.utils.flop_counter import FlopCounterMode

import cast_mmaction  # noqa: F401
from cast_mmaction.checkpoints import convert
from cast_mmaction.checkpoints.convert import CAST_RULES
from cast_mmaction.checkpoints.rename import rename
from tests.golden import GoldenCase, relative_error

TINY = dict(embed_dims=16, num_layers=2, num_heads=2)


def build(arch, head, img_size=224, num_frames=16, **backbone):
    """A recognizer of the paper's form, at any size."""
    expert = dict(arch=arch, img_size=img_size, num_frames=num_frames)
    return MODELS.build(
        dict(
            type='Recognizer3D',
            backbone=dict(
                type='CAST',
                spatial=dict(type='CLIPExpert', **expert),
                temporal=dict(type='VideoMAEExpert', **expert),
                **backbone),
            cls_head=head))


def golden_model(case, **backbone):
    size = case.model
    arch = dict(
        embed_dims=size['embed_dim'],
        num_layers=size['depth'],
        num_heads=size['num_heads'])
    head = dict(
        type='CASTHead',
        in_channels=size['embed_dim'],
        num_classes=size['num_classes'])
    if size['composition']:
        head = dict(type='VerbNounHead', in_channels=size['embed_dim'])
    model = build(arch, head, **backbone)
    model.load_state_dict(convert(case.state_dict(), 'cast'))
    return model.eval()


def outputs(model, clip):
    features = model.backbone(clip)
    logits = model.cls_head(features)
    named = dict(spatial_feature=features[0], temporal_feature=features[1])
    if isinstance(logits, tuple):
        named.update(verb_logits=logits[0], noun_logits=logits[1])
    else:
        named.update(logits=logits)
    return named


@pytest.mark.parametrize('name', ['cast_small_fused', 'cast_small_verb_noun'])
@pytest.mark.parametrize('with_cp', [False, True])
def test_golden_outputs_and_gradients(shared, name, with_cp):
    case = GoldenCase(shared / 'golden', 'cast_cases', name)
    model = golden_model(case, with_cp=with_cp)
    actual = outputs(model, case.clip())
    for key, value in actual.items():
        assert relative_error(value, case.outputs[key]) < 1e-4, key
    loss = sum(v.square().mean() for k, v in actual.items() if 'logits' in k)
    loss.backward()
    parameters = dict(model.named_parameters())
    ours = rename({key: key for key in case.trained()}, CAST_RULES)
    assert ours.keys() == {
        n for n, p in parameters.items() if p.requires_grad
    }
    for name, key in ours.items():
        if f'grad_norm.{key}' in case.outputs:  # all but the classifiers
            assert parameters[name].grad.norm().item() == pytest.approx(
                float(case.outputs[f'grad_norm.{key}']), rel=1e-3,
                abs=1e-7), key


@pytest.mark.slow
@pytest.mark.parametrize('name', ['cast_base_k400', 'cast_base_ek100'])
def test_golden_full_size(shared, name):
    case = GoldenCase(shared / 'golden', 'cast_cases', name)
    model = golden_model(case)
    with torch.no_grad():
        actual = outputs(model, case.clip())
    for key, value in actual.items():
        assert relative_error(value, case.outputs[key]) < 1e-4, key


@pytest.mark.parametrize('num_classes, millions', [(400, 45.379),
                                                   (174, 45.205),
                                                   (None, 44.785)])
def test_trainable_parameters(num_classes, millions):
    head = dict(type='VerbNounHead', in_channels=768)
    if num_classes:
        head = dict(
            type='CASTHead', in_channels=768, num_classes=num_classes)
    with torch.device('meta'):
        model = build('base', head)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trained / 1e6 == pytest.approx(millions, abs=5e-4)


def tiny(**backbone):
    return build(
        TINY,
        dict(type='CASTHead', in_channels=16, num_classes=5),
        img_size=32,
        num_frames=4,
        **backbone)


def test_starts_as_its_two_experts():
    backbone = tiny().backbone.eval()
    clip = torch.randn(2, 3, 4, 32, 32)
    features = backbone(clip)
    for feature, expert in zip(features, backbone.experts()):
        torch.testing.assert_close(feature, expert(clip))


@pytest.mark.parametrize('exchange', [dict(type='BCAST'), None])
def test_a_step_moves_all_that_is_trained_and_nothing_else(exchange):
    model = tiny(exchange=exchange)
    # Zero starts silence the gradients behind them: fill them first.
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=.1)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=1., weight_decay=1.)
    model.train()
    logits = model.cls_head(model.backbone(torch.randn(2, 3, 4, 32, 32)))
    logits.square().mean().backward()
    optimizer.step()
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]) != (name in trained), name
    frozen = before.keys() - trained
    assert any('spatial.blocks' in name for name in frozen)
    assert any('temporal.blocks' in name for name in frozen)


def test_experts_stay_in_evaluation_mode():
    model = tiny().train()
    assert model.backbone.layers.training
    assert not any(
        module.training for expert in model.backbone.experts()
        for module in expert.modules())


def test_drop_path_drops_whole_samples():
    backbone = tiny(drop_path_rate=1 - 1e-6).backbone
    layer = backbone.layers[-1]
    assert backbone.layers[0].drop_path.drop_prob == 0
    torch.nn.init.normal_(layer.exchange.spatial_up.weight)
    layer.drop_path.drop_prob = .5
    layer.train()
    torch.manual_seed(0)
    x = torch.ones(64, 2, 4, 16)
    dropped = (layer.drop_path(x) == 0).flatten(1)
    assert (dropped.all(1) | ~dropped.any(1)).all()
    assert 0 < dropped.all(1).sum() < 64


def test_only_the_named_blocks_exchange():
    layers = tiny(exchange_layers=[1]).backbone.layers
    assert [layer.exchange is not None for layer in layers] == [False, True]
    with pytest.raises(ValueError, match='blocks 0 to 1'):
        tiny(exchange_layers=[2])


def test_checkpointing_changes_nothing():
    torch.manual_seed(0)
    plain, recomputed = tiny(drop_path_rate=.5), tiny(
        drop_path_rate=.5, with_cp=True)
    for p in plain.parameters():
        if p.requires_grad:
            torch.nn.init.normal_(p, std=.1)
    recomputed.load_state_dict(plain.state_dict())
    clip = torch.randn(3, 3, 4, 32, 32)
    for model in (plain, recomputed):
        model.train()
        torch.manual_seed(1)
        model.cls_head(model.backbone(clip)).square().mean().backward()
    for (name, a), b in zip(plain.named_parameters(),
                            recomputed.parameters()):
        assert (a.grad is None) == (b.grad is None), name
        if a.grad is not None:
            assert torch.equal(a.grad, b.grad), name


@pytest.mark.parametrize('training, giga', [(False, 390.5), (True, 381.2)])
def test_multiply_adds(training, giga):
    # Training leaves out what unread spatial patches hear last, and their
    # last feed-forward.
    with torch.device('meta'):
        model = build(
            'base', dict(type='CASTHead', in_channels=768, num_classes=400))
        clip = torch.zeros(1, 3, 16, 224, 224)
    model.train(training)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.cls_head(model.backbone(clip))
    assert counter.get_total_flops() / 2e9 == pytest.approx(giga, rel=1e-3)


def test_training_computes_the_same_without_unread_tokens():
    model = tiny()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=.1)
    clip = torch.randn(2, 3, 4, 32, 32)
    for train, evaluation in zip(model.train().backbone(clip),
                                 model.eval().backbone(clip)):
        torch.testing.assert_close(train, evaluation)


def test_training_leaves_out_what_nobody_hears():
    """After the last exchange; its parameters still get a gradient, zero."""
    model = tiny()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=.1)
    layers = model.backbone.layers
    asked = []
    for layer in layers:
        layer.exchange.t2s.register_forward_hook(
            lambda module, *_: asked.append(module))
    sum(x.square().mean() for x in model.train().backbone(
        torch.randn(2, 3, 4, 32, 32))).backward()
    assert asked == [layer.exchange.t2s for layer in layers[:-1]]
    for parameter in layers[-1].exchange.t2s.parameters():
        assert parameter.grad.count_nonzero() == 0
    for parameter in layers[-1].exchange.s2t.parameters():
        assert parameter.grad.count_nonzero()


@pytest.mark.parametrize('order', ['sequential', 'parallel'])
def test_what_another_exchange_reads_is_not_left_out(order):
    """Of three streams: gradients and features are those of all tokens."""
    expert = dict(arch=TINY, img_size=32, num_frames=4)
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='CAST',
            experts=dict(
                a=dict(type='CLIPExpert', **expert),
                b=dict(type='VideoMAEExpert', **expert),
                c=dict(type='CLIPExpert', **expert)),
            exchanges=[
                dict(type='BCAST', between=pair)
                for pair in (('a', 'b'), ('a', 'c'))
            ],
            exchange_order=order))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=.1)
    clip = torch.randn(2, 3, 4, 32, 32)

    def gradients():
        model.zero_grad()
        features = model(clip)
        sum(x.square().mean() for x in features.values()).backward()
        return [x.detach() for x in features.values()] + [
            p.grad for p in model.parameters() if p.requires_grad
        ]

    # Evaluation leaves nothing out.
    model.eval()
    expected = gradients()
    model.train()
    found = gradients()
    for a, b in zip(found, expected):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
