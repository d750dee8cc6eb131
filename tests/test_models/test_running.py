"""with_cp, compile and frozen_dtype: for every model, from one place."""
import os
import subprocess
import sys

import pytest
import torch
from mmaction.registry import MODELS
from torch._dynamo.testing import CompileCounterWithBackend

from tests.toy import ROOT

EXPERT = dict(
    arch=dict(embed_dims=16, num_layers=4, num_heads=2),
    img_size=32,
    num_frames=4)
FROZEN = {
    'EVL': dict(type='EVL', num_decoder_layers=2, cross_frame=True, **EXPERT),
    'AIM': dict(type='AIM', drop_path_rate=.3, **EXPERT),
    'STAdapter': dict(type='STAdapter', adapter_dims=8, **EXPERT),
    'AdaptedExpert': dict(
        type='AdaptedExpert',
        expert=dict(type='VideoMAEExpert', **EXPERT),
        drop_path_rate=.3),
}
ALL = dict(
    FROZEN,
    divided=dict(
        type='SpaceTimeViT', scheme='divided', drop_path_rate=.3, **EXPERT),
    axial=dict(
        type='SpaceTimeViT', scheme='axial', drop_path_rate=.3, **EXPERT))
CLIP = torch.randn(2, 3, 4, 32, 32, generator=torch.Generator().manual_seed(0))


def build(name, **options):
    torch.manual_seed(0)
    model = MODELS.build(dict(ALL[name], **options))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter.data, std=.1)
    return model


def step(model, seed=1):
    """Feature and gradients of a training step."""
    model.train().zero_grad()
    torch.manual_seed(seed)
    feature = model(CLIP)
    feature.float().square().mean().backward()
    return feature, {
        name: p.grad
        for name, p in model.named_parameters() if p.requires_grad
    }


@pytest.mark.parametrize('name', ALL)
def test_recomputing_changes_nothing(name):
    expected, gradients = step(build(name))
    feature, recomputed = step(build(name, with_cp=True))
    assert torch.equal(feature, expected)
    for key, gradient in gradients.items():
        torch.testing.assert_close(recomputed[key], gradient, msg=key)


@pytest.mark.parametrize('name', ALL)
def test_recomputing_keeps_less(name):

    def kept(model):
        count = 0

        def pack(x):
            nonlocal count
            count += x.numel()
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            model.train()(CLIP)
        return count

    if name == 'EVL':  # its encoder keeps nothing anyway
        pytest.skip('only the small decoder has activations')
    assert kept(build(name, with_cp=True)) < kept(build(name)) / 2


@pytest.mark.parametrize('name', ALL)
def test_blocks_share_a_compiled_program(name):
    torch.compiler.reset()
    counter = CompileCounterWithBackend('eager')
    short = dict(arch=dict(EXPERT['arch'], num_layers=3))
    if name == 'AdaptedExpert':
        short = dict(expert=dict(ALL[name]['expert'], **short))
    expected, gradients = step(build(name))
    step(build(name, compile=dict(backend=counter), **short))
    programs = counter.frame_count
    assert programs > 0
    feature, compiled = step(build(name, compile=dict(backend=counter)))
    assert counter.frame_count == programs
    torch.testing.assert_close(feature, expected)
    for key, gradient in gradients.items():
        torch.testing.assert_close(compiled[key], gradient, msg=key)


@pytest.mark.parametrize('name', FROZEN)
def test_half_experts_change_nothing_under_autocast(name):
    full, half = build(name), build(name, frozen_dtype='bfloat16')
    half.load_state_dict(full.state_dict())
    assert torch.bfloat16 in {p.dtype for p in half.parameters()}
    with torch.autocast('cpu', torch.bfloat16):
        expected, gradients = step(full)
        feature, others = step(half)
    assert torch.equal(feature, expected)
    for key, gradient in gradients.items():
        assert torch.equal(others[key], gradient), key


@pytest.mark.parametrize('name', FROZEN)
def test_half_experts_need_autocast_of_their_type(name):
    model = build(name, frozen_dtype='bfloat16')
    with pytest.raises(RuntimeError, match='needs autocast'):
        model(CLIP)
    with torch.autocast('cpu', torch.float16):
        with pytest.raises(RuntimeError, match='autocast is to float16'):
            model(CLIP)
    with pytest.raises(ValueError, match="frozen_dtype='int8'; use"):
        build(name, frozen_dtype='int8')


def test_what_is_trained_is_not_held_in_half():
    with pytest.raises(ValueError, match='leave it out to train it'):
        build('EVL', frozen=False, frozen_dtype='bfloat16')


def test_an_addition_is_dropped_once(monkeypatch):
    """A step, the last attention and the MLP of a block each draw once."""
    model = build('divided', arch=dict(EXPERT['arch'], num_layers=2)).train()
    draws = []
    block = model.blocks[1]
    block.drop_path.register_forward_hook(lambda *args: draws.append(1))
    model(CLIP)
    assert len(draws) == 3


WORKER = '''
import sys, torch, cast_mmaction
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel as DDP
from mmengine.registry import init_default_scope
from tests.test_models.test_running import ALL, CLIP, FROZEN, build
torch.set_num_threads(1)
init_default_scope('mmaction')
rank = int(sys.argv[1])
dist.init_process_group('gloo', init_method=sys.argv[2], rank=rank,
                        world_size=2)
for name in ALL:
    half = name in FROZEN
    options = dict(frozen_dtype='bfloat16') if half else {}
    for p in (alone := build(name, **options)).modules():
        if hasattr(p, 'drop_prob'): p.drop_prob = 0.
        if isinstance(p, torch.nn.Dropout): p.p = 0.
    model = build(name, with_cp=True, compile=dict(backend='eager'),
                  **options)
    for p in model.modules():
        if hasattr(p, 'drop_prob'): p.drop_prob = 0.
        if isinstance(p, torch.nn.Dropout): p.p = 0.
    model.train(), alone.train()
    ddp = DDP(model)
    with torch.autocast('cpu', torch.bfloat16, enabled=half):
        ddp(CLIP[rank:rank + 1]).float().square().mean().backward()
        alone(CLIP).float().square().mean().backward()
    for (key, p), q in zip(model.named_parameters(), alone.parameters()):
        if p.requires_grad:
            torch.testing.assert_close(p.grad, q.grad, rtol=2e-2 if half else
                                       1e-4, atol=1e-3 if half else 1e-6,
                                       msg=lambda m: f'{name} {key}: {m}')
    print(name, 'equal', flush=True)
dist.barrier()
dist.destroy_process_group()
'''


@pytest.mark.slow
def test_recomputed_compiled_half_experts_under_ddp(tmp_path):
    """Two gloo processes with half a batch each give the gradients of one."""
    env = dict(
        os.environ, PYTHONPATH=str(ROOT), CUDA_VISIBLE_DEVICES='',
        OMP_NUM_THREADS='1')
    runs = [
        subprocess.Popen([
            sys.executable, '-c', WORKER,
            str(rank), f'file://{tmp_path}/meet'
        ], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    for run in runs:
        out, err = run.communicate(timeout=300)
        assert run.returncode == 0, err[-3000:]
        assert out.count('equal') == len(ALL)
