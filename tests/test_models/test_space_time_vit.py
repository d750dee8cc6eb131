import itertools

import pytest
import torch
from mmaction.registry import MODELS

from cast_mmaction.checkpoints import CheckpointError, convert
from cast_mmaction.models.attention import GridWindow, attention
from tests.golden import GoldenCase, relative_error
from tests.test_models.peers import TINY, build, counted, fill, golden, step

SCHEMES = ('space', 'joint', 'divided', 'local_global', 'axial')
GRIDS = [(3, (4, 6)), (2, (3, 5)), (1, (1, 2))]  # steps; even, odd, thin


@pytest.mark.parametrize('scheme, name', [('space', 'space_only'),
                                          ('joint', 'joint_space_time'),
                                          ('divided', 'divided_space_time')])
def test_golden_output(shared, scheme, name):
    case = GoldenCase(shared / 'golden', 'peer_cases', f'timesformer_{name}')
    model = golden(case, 'timesformer',
                   dict(type='SpaceTimeViT', scheme=scheme))
    logits = model.cls_head(model.backbone(case.clip()))
    assert relative_error(logits, case.outputs['output']) < 1e-4


@pytest.mark.parametrize('scheme, millions',
                         [*zip(SCHEMES, (85.9, 85.9, 121.4, 121.4, 156.8))])
def test_parameters_are_those_of_the_paper(scheme, millions):
    # With the classifier of SSv2.
    trained, total = counted(
        dict(type='SpaceTimeViT', scheme=scheme), num_classes=174)
    assert trained == total == pytest.approx(millions, abs=.05)


def sees(kind, query, key, grid):
    """The windows by their definition, on (step, row, column)."""
    if kind == 'clip':
        return True
    if kind == 'row':
        return query[:2] == key[:2]
    if kind == 'column':
        return query[::2] == key[::2]
    if kind == 'dilated':
        return all((a - b) % 2 == 0 for a, b in zip(query, key))
    for place, other, length in zip(query[1:], key[1:], grid):
        half = -(-length // 2)
        start = max(0, min(place - half // 2, length - half))
        if not start <= other < start + half:
            return False
    return True


@pytest.mark.parametrize('steps, grid', GRIDS)
@pytest.mark.parametrize('kind',
                         ['clip', 'row', 'column', 'local', 'dilated'])
def test_which_keys_a_query_sees(kind, steps, grid):
    torch.manual_seed(0)
    places = list(itertools.product(*map(range, (steps, *grid))))
    num = grid[0] * grid[1]
    q, k, v = (torch.randn(1, steps, 1 + num, 8) for _ in range(3))
    for x in (q, k, v):
        x[:, :, 0] = x[:, :1, 0]  # one class token, a copy in every step
    v.requires_grad_()
    out = attention(q, k, v, 2, GridWindow(kind, grid))
    window = torch.tensor([[sees(kind, a, b, grid) for b in places]
                           for a in places])

    def seen_by(t, p):
        gradient, = torch.autograd.grad(
            out[0, t, p].sum(), v, retain_graph=True)
        return gradient[0].abs().sum(-1) > 0  # (T, 1+N)

    for place, (t, row, col) in enumerate(places):
        seen = seen_by(t, 1 + row * grid[1] + col)
        assert torch.equal(seen[:, 1:].flatten(), window[place])
        assert seen[0, 0]  # the class token
    assert seen_by(0, 0)[:, 1:].all()
    assert torch.equal(out[:, :, 0], out[:, :1, 0].expand(1, steps, 8))

    # The values, too: masked attention over everything.
    line = [torch.cat([x[:, :1, 0], x[:, :, 1:].flatten(1, 2)], 1)
            for x in (q, k, v)]
    heads = [x.unflatten(-1, (2, 4)).transpose(1, 2) for x in line]
    mask = torch.nn.functional.pad(window, (1, 0, 1, 0), value=True)
    expected = torch.nn.functional.scaled_dot_product_attention(
        *heads, attn_mask=mask).transpose(1, 2).flatten(2)
    torch.testing.assert_close(out[:, :, 1:].flatten(1, 2), expected[:, 1:])
    torch.testing.assert_close(out[:, 0, 0], expected[:, 0])


def test_a_neighbourhood_is_half_as_high_and_wide_everywhere():
    for grid, count in (((4, 6), 2 * 3), ((3, 5), 2 * 3), ((14, 14), 49)):
        for row, col in itertools.product(*map(range, grid)):
            seen = [sees('local', (0, row, col), (0, r, c), grid)
                    for r, c in itertools.product(*map(range, grid))]
            assert sum(seen) == count


def tiny(scheme, **options):
    return dict(
        type='SpaceTimeViT',
        scheme=scheme,
        arch=TINY,
        img_size=48,
        num_frames=4,
        **options)


@pytest.mark.parametrize('scheme', SCHEMES)
def test_the_class_token_is_one_and_further_attentions_start_silent(scheme):
    backbone = MODELS.build(tiny(scheme)).eval()
    clip = torch.randn(2, 3, 4, 48, 48)
    x = backbone.embed(clip)
    for block in backbone.blocks:
        alone = super(type(block), block).attend(x)
        if not block.share_class_token:
            torch.testing.assert_close(block.attend(x), alone)
        x = block(x)
    fill(backbone)
    x = backbone.embed(clip)
    for block in backbone.blocks:
        x = block(x)
    copies = (x[:, :, 0] - x[:, :1, 0]).abs().amax() < 1e-5
    assert copies == (scheme != 'space')


@pytest.mark.parametrize('scheme', SCHEMES)
def test_a_step_moves_everything(scheme):
    model = build(tiny(scheme, drop_path_rate=.1), 5, in_channels=16)
    fill(model)
    assert len(step(model, 4, 48)) == len(model.state_dict())


def test_drop_path_grows_and_drops_clips():
    blocks = MODELS.build(tiny('axial', drop_path_rate=.5)).blocks
    assert [block.drop_path.drop_prob for block in blocks] == [0, .5]


def test_unknown_scheme_is_named():
    with pytest.raises(ValueError, match="'divided', 'local_global'"):
        MODELS.build(dict(type='SpaceTimeViT', scheme='spare'))


@pytest.mark.parametrize('scheme', ['divided', 'axial', 'joint', 'space'])
def test_an_image_model_starts_every_attention(scheme, tmp_path):
    image = MODELS.build(tiny('space'))
    fill(image)
    path = tmp_path / 'image.pth'
    torch.save(dict(state_dict=image.state_dict()), path)
    backbone = MODELS.build(tiny(scheme, pretrained=str(path)))
    backbone.init_weights()
    for block, source in zip(backbone.blocks, image.blocks):
        for one in block.steps:
            for name, value in one.attn.state_dict().items():
                assert torch.equal(value, source.attn.state_dict()[name])
            assert not one.fc.weight.any()
    if scheme in ('divided', 'space'):  # all frames alike: an image
        clip = torch.randn(1, 3, 1, 48, 48).expand(-1, -1, 4, -1, -1)
        torch.testing.assert_close(
            backbone.eval()(clip), image.eval()(clip))


def test_weights_of_another_scheme_are_refused(tmp_path):
    path = tmp_path / 'divided.pth'
    torch.save(MODELS.build(tiny('divided')).state_dict(), path)
    with pytest.raises(CheckpointError, match='divided.pth.*steps.1'):
        MODELS.build(tiny('axial', pretrained=str(path))).init_weights()


@pytest.mark.parametrize('scheme, theirs',
                         [('space', 'space_only'),
                          ('joint', 'joint_space_time'),
                          ('divided', 'divided_space_time')])
def test_equals_the_host_with_the_host_s_weights(scheme, theirs):
    head = dict(num_classes=5, in_channels=16)
    host = MODELS.build(
        dict(
            type='Recognizer3D',
            backbone=dict(
                type='TimeSformer',
                num_frames=4,
                img_size=48,
                patch_size=16,
                embed_dims=16,
                num_heads=2,
                num_transformer_layers=2,
                attention_type=theirs),
            cls_head=dict(type='TimeSformerHead', **head))).eval()
    fill(host)
    ours = build(tiny(scheme), **head).eval()
    ours.load_state_dict(convert(host.state_dict(), 'timesformer'))
    clip = torch.randn(2, 3, 4, 48, 48)
    torch.testing.assert_close(
        ours.cls_head(ours.backbone(clip)),
        host.cls_head(host.backbone(clip)),
        rtol=1e-4,
        atol=1e-4)


def test_is_a_temporal_expert_of_cast():
    expert = tiny('divided', frame_stride=2)
    model = build(
        dict(
            type='CAST',
            spatial=dict(
                type='CLIPExpert', arch=TINY, img_size=48, num_frames=4),
            temporal=expert),
        num_classes=0)
    backbone = model.backbone.eval()
    clip = torch.randn(2, 3, 4, 48, 48)
    torch.testing.assert_close(
        backbone(clip)[1], backbone.temporal(clip))
    trained = {n for n, p in backbone.temporal.named_parameters()
               if p.requires_grad}
    assert trained == {'norm.weight', 'norm.bias'}
