"""What can only be seen on a GPU; skipped where there is none."""
import copy

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.optim import AmpOptimWrapper, OptimWrapper

from cast_mmaction.models import attention
from tests.test_models.sound import AUDIO, backbone_config
from tests.test_models.test_running import ALL, EXPERT

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason='needs a GPU')

MODELS_HERE = dict(
    ALL,
    CAST=dict(
        type='CAST',
        spatial=dict(type='CLIPExpert', **EXPERT),
        temporal=dict(type='VideoMAEExpert', **EXPERT)),
    CAVA=backbone_config('cava', EXPERT['arch']),
    CA2ST=backbone_config('ca2st', EXPERT['arch']))
DTYPES = dict(bfloat16=torch.bfloat16, float16=torch.float16)
FROZEN = [name for name in MODELS_HERE if name not in ('divided', 'axial')]


@pytest.fixture(autouse=True)
def tensor_float_32():
    """Each test says what it wants; afterwards all is as before."""
    before = (torch.get_float32_matmul_precision(),
              torch.backends.cudnn.allow_tf32)
    torch.set_float32_matmul_precision('highest')
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.allow_tf32 = before[1]


def build(name, **options):
    torch.manual_seed(0)
    model = MODELS.build(dict(MODELS_HERE[name], **options))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter.data, std=.1)
    return model


def clip(batch=4):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, 3, 4, 32, 32, generator=generator)


def features(model, x):
    """Of clips ``(B, 3, F, H, W)`` and, to whom hears, of sound beside them,
    every second clip being mute."""
    if not hasattr(model, 'audio'):
        out = model(x)
        out = [out] if torch.is_tensor(out) else list(out)
        return torch.cat(out, 1).flatten(1)
    generator = torch.Generator().manual_seed(1)
    sound = torch.randn(
        len(x), 1, AUDIO['num_frames'], AUDIO['num_mel_bins'],
        generator=generator)
    heard = torch.arange(len(x), device=x.device) % 2 == 0
    out = model(x, audio=sound.to(x.device), has_audio=heard)
    return torch.cat([out[name] for name in model.names], 1)


@pytest.mark.parametrize('name', MODELS_HERE)
@pytest.mark.parametrize('tf32', [False, True])
def test_the_gpu_computes_what_the_cpu_does(name, tf32):
    model = build(name).eval()
    with torch.no_grad():
        expected = features(model, clip())
        torch.set_float32_matmul_precision('high' if tf32 else 'highest')
        actual = features(model.cuda(), clip().cuda()).cpu()
    tolerance = 2e-2 if tf32 else 1e-4
    assert (actual - expected).norm() <= tolerance * expected.norm()


@pytest.mark.parametrize('name', MODELS_HERE)
@pytest.mark.parametrize('dtype', DTYPES)
def test_half_precision_is_near(name, dtype):
    model = build(name).eval().cuda()
    with torch.no_grad():
        expected = features(model, clip().cuda())
        with torch.autocast('cuda', DTYPES[dtype]):
            actual = features(model, clip().cuda()).float()
    assert (actual - expected).norm() <= .05 * expected.norm()


@pytest.mark.parametrize('name', MODELS_HERE)
@pytest.mark.parametrize('dtype', ['float32', *DTYPES])
def test_a_training_step(name, dtype):
    """What is trained moves, what is frozen stays to the bit; float16 with a
    real GradScaler."""
    model = build(name).cuda().train()
    trained = [p for p in model.parameters() if p.requires_grad]
    frozen = [p for p in model.parameters() if not p.requires_grad]
    before = [p.detach().clone() for p in trained]
    kept = [p.detach().clone() for p in frozen]
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    wrapper = OptimWrapper(optimizer) if dtype == 'float32' else \
        AmpOptimWrapper(optimizer=optimizer, dtype=dtype)
    for _ in range(3):
        with wrapper.optim_context(model):
            loss = features(model, clip().cuda()).float().square().mean()
        wrapper.update_params(loss)
    assert torch.isfinite(loss)
    moved = sum((a != b).any().item() for a, b in zip(trained, before))
    assert moved >= .9 * len(trained)
    assert all(torch.equal(a, b) for a, b in zip(frozen, kept))
    assert all(torch.isfinite(p).all() for p in trained)


@pytest.mark.parametrize('name', FROZEN)
def test_half_experts_change_nothing(name):
    full = build(name).cuda().eval()
    half = build(name, frozen_dtype='bfloat16').cuda().eval()
    half.load_state_dict(full.state_dict())
    with torch.no_grad(), torch.autocast('cuda', torch.bfloat16):
        assert torch.equal(features(half, clip().cuda()),
                           features(full, clip().cuda()))


@pytest.mark.parametrize('name', MODELS_HERE)
def test_recomputing_takes_less_memory(name):
    if name == 'EVL':
        pytest.skip('its encoder keeps no activations anyway')

    def peak(model):
        """Beyond what is there already; the second time, since products
        keep a workspace from the first one on."""
        for _ in range(2):
            model.zero_grad()
            before = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
            features(model.train(), clip(32).cuda()).square().mean().backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        return torch.cuda.max_memory_allocated() - before, gradients

    most, expected = peak(build(name, drop_path_rate=0.).cuda()
                          if 'drop_path_rate' in MODELS_HERE[name]
                          else build(name).cuda())
    less, actual = peak(build(name, with_cp=True, drop_path_rate=0.).cuda()
                        if 'drop_path_rate' in MODELS_HERE[name]
                        else build(name, with_cp=True).cuda())
    assert less < most
    for one, other in zip(actual, expected):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    'name', ['CAST', 'AIM', 'STAdapter', 'divided', 'axial'])
def test_a_compiled_model_computes_the_same(name):
    plain = build(name).cuda().eval()
    compiled = build(name, compile=True).cuda().eval()
    with torch.no_grad():
        torch.testing.assert_close(
            features(compiled, clip().cuda()),
            features(plain, clip().cuda()), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_more_sequences_than_the_grid_takes(dtype):
    """The limit that :data:`attention.MAX_SEQUENCES` keeps."""
    count = attention.MAX_SEQUENCES + 1000
    q, k, v = torch.randn(3, count, 2, 8, 32, device='cuda').to(dtype)
    out = attention.sdpa_kernel(q, k, v)
    for part in (slice(0, 64), slice(count - 64, None)):
        torch.testing.assert_close(
            out[part].float(),
            attention.eager_kernel(q[part], k[part], v[part]).float(),
            rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize('length, width', [(8, 32), (1, 32), (7, 5),
                                           (197, 40)])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_every_window_has_a_kernel(length, width, dtype):
    q, k, v = torch.randn(3, 4, 2, length, width, device='cuda').to(dtype)
    torch.testing.assert_close(
        attention.sdpa_kernel(q, k, v).float(),
        attention.eager_kernel(q, k, v).float(), rtol=3e-2, atol=3e-2)


def test_a_copy_on_the_gpu_is_independent():
    model = build('CAST').cuda().eval()
    twin = copy.deepcopy(model)
    with torch.no_grad():
        expected = features(twin, clip().cuda())
        model.spatial.norm.bias.add_(1)
        assert torch.equal(features(twin, clip().cuda()), expected)
