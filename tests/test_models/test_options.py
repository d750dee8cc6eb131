"""Options for speed and memory change no result."""
import copy
import shutil
import socket

import pytest
import torch
import torch.distributed as dist
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.model import MMDistributedDataParallel
from torch._dynamo.testing import CompileCounterWithBackend
from torch.autograd.graph import saved_tensors_hooks

import cast_mmaction  # noqa: F401
from cast_mmaction.models.vit import QuickGELU


def experts(num_layers):
    expert = dict(
        arch=dict(embed_dims=16, num_layers=num_layers, num_heads=2),
        img_size=32,
        num_frames=4)
    return dict(
        spatial=dict(type='CLIPExpert', **expert),
        temporal=dict(type='VideoMAEExpert', **expert))


def backbone(num_layers=4, **kwargs):
    """A tiny CAST whose residuals are not silenced by their zero start."""
    torch.manual_seed(0)
    model = MODELS.build(dict(type='CAST', **experts(num_layers), **kwargs))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=.1)
    return model


def gradients(model, clip, seed=1):
    """Features and gradients of one training step."""
    model.train().zero_grad()
    torch.manual_seed(seed)
    features = model(clip)
    sum(x.float().square().mean() for x in features).backward()
    return features, [
        p.grad for p in model.parameters() if p.requires_grad
    ]


CLIP = torch.randn(2, 3, 4, 32, 32, generator=torch.Generator().manual_seed(0))


RUNNING = [
    dict(with_cp=True),
    dict(compile=dict(backend='aot_eager')),
    dict(with_cp=True, compile=dict(backend='aot_eager')),
]


def ddp_gradients(rank, port, folder):
    """In one of two processes: gradients from this one's clip."""
    dist.init_process_group(
        'gloo', init_method=f'tcp://127.0.0.1:{port}', rank=rank, world_size=2)
    torch.set_num_threads(1)
    for number, options in enumerate(RUNNING):
        model = MMDistributedDataParallel(backbone(2, **options))
        _, found = gradients(model, CLIP[rank:rank + 1])
        torch.save(found, folder / f'{number}-{rank}.pth')
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.slow
def test_recomputing_and_compiling_in_two_processes(tmp_path):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    torch.multiprocessing.spawn(ddp_gradients, (port, tmp_path), nprocs=2)
    _, expected = gradients(backbone(2), CLIP)
    for number in range(len(RUNNING)):
        for rank in range(2):
            found = torch.load(
                tmp_path / f'{number}-{rank}.pth', weights_only=True)
            torch.testing.assert_close(found, expected)


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which('g++') is None, reason='torch.compile needs a C++ compiler')
def test_a_compiled_model_computes_and_drops_the_same():
    plain = backbone(1, drop_path_rate=.5)
    compiled = backbone(1, drop_path_rate=.5, compile=True)
    for actual, expected in zip(
            gradients(compiled, CLIP), gradients(plain, CLIP)):
        torch.testing.assert_close(tuple(actual), tuple(expected))
    with torch.no_grad():
        torch.testing.assert_close(compiled.eval()(CLIP), plain.eval()(CLIP))


def test_all_layers_share_a_program():
    torch.compiler.reset()
    counter = CompileCounterWithBackend('eager')
    gradients(backbone(3, compile=dict(backend=counter)), CLIP)
    programs = counter.frame_count
    gradients(
        backbone(5, drop_path_rate=.5, compile=dict(backend=counter)), CLIP)
    assert counter.frame_count == programs


def test_a_compiled_model_can_be_copied():
    model = backbone(compile=dict(backend='eager')).eval()
    with torch.no_grad():
        expected = model(CLIP)
        twin = copy.deepcopy(model)
        torch.nn.init.zeros_(model.spatial.norm.bias)
        torch.testing.assert_close(twin(CLIP), expected, rtol=0, atol=0)
    assert twin.state_dict().keys() == backbone().state_dict().keys()


def test_half_experts_change_nothing_under_autocast():
    full, half = backbone(), backbone(frozen_dtype='bfloat16')
    half.load_state_dict(full.state_dict())
    dtypes = {p.dtype for p in half.parameters() if not p.requires_grad}
    assert torch.bfloat16 in dtypes
    assert all(p.dtype == torch.float32 for p in half.parameters()
               if p.requires_grad)
    with torch.autocast('cpu', torch.bfloat16):
        for actual, expected in zip(
                gradients(half, CLIP), gradients(full, CLIP)):
            torch.testing.assert_close(
                tuple(actual), tuple(expected), rtol=0, atol=0)


def test_half_experts_are_near_the_full_ones():
    full, half = backbone().eval(), backbone(frozen_dtype='bfloat16').eval()
    half.load_state_dict(full.state_dict())
    with torch.no_grad():
        expected = full(CLIP)
        with torch.autocast('cpu', torch.bfloat16):
            actual = half(CLIP)
    for x, y in zip(actual, expected):
        assert (x - y).norm() / y.norm() < .02


def test_half_experts_need_autocast_and_freezing():
    with pytest.raises(RuntimeError, match='needs autocast'):
        backbone(frozen_dtype='bfloat16')(CLIP)
    with pytest.raises(ValueError, match='frozen experts'):
        backbone(frozen_dtype='bfloat16', freeze_experts=False)


def test_quick_gelu_is_its_formula_and_keeps_one_tensor():
    x = torch.linspace(-8, 8, 1001, requires_grad=True)
    kept = []
    with saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        y = QuickGELU()(x)
    assert len(kept) == 1
    formula = x * torch.sigmoid(1.702 * x)
    torch.testing.assert_close(y, formula)
    torch.testing.assert_close(*(torch.autograd.grad(z.sum(), x)
                                 for z in (y, formula)))


@pytest.mark.parametrize('views', [1, 2, 5])
@pytest.mark.parametrize('head', [
    dict(type='CASTHead', num_classes=5),
    dict(type='VerbNounHead'),
])
def test_the_grouping_of_views_changes_nothing(views, head):
    model = MODELS.build(
        dict(
            type='Recognizer3D',
            backbone=dict(type='CAST', **experts(2)),
            cls_head=dict(head, in_channels=16))).eval()
    video = torch.randn(1, 6, 3, 4, 32, 32)

    def score():
        with torch.no_grad():
            return model(video, [ActionDataSample()],
                         mode='predict')[0].pred_score

    at_once = score()
    model.test_cfg = dict(max_testing_views=views)
    torch.testing.assert_close(score(), at_once, rtol=1e-5, atol=1e-7)
