"""What several processes learn by any engine is what one learns."""
import json
import subprocess
import sys

import pytest
import torch

from tests.toy import ROOT, assert_same, weights

pytestmark = pytest.mark.slow
ENGINES = ('ddp', 'ddp_bf16_compressed', 'zero', 'fsdp')
# Of 8 clips a step each process takes 2 x 2.
ACCUMULATED = ('train_dataloader.batch_size=2',
               'optim_wrapper.accumulative_counts=2')
FUSED = 'optim_wrapper.optimizer.fused=true'
WHOLE = 'default_hooks.checkpoint.trainable_only=false'


def resumed(folder, source):
    return ('resume=true', f'load_from="{folder}/{source}/epoch_1.pth"')


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """The folder of all trainings: they share one import of the host."""
    folder = tmp_path_factory.mktemp('engines')
    specs = [
        ('ddp', 1, 'one'),
        *((engine, 2, engine, *ACCUMULATED) for engine in ENGINES),
        ('fsdp', 2, 'fsdp_whole', WHOLE, FUSED),
        ('zero', 2, 'zero_whole', WHOLE, FUSED),
        # from every engine into another one, from both kinds of files
        ('zero', 2, 'zero_from_fsdp', *resumed(folder, 'fsdp')),
        ('fsdp', 2, 'fsdp_from_zero', *resumed(folder, 'zero_whole')),
        ('ddp', 1, 'one_from_fsdp', *resumed(folder, 'fsdp_whole')),
        ('ddp_bf16_compressed', 2, 'compressed_from_fsdp',
         *resumed(folder, 'fsdp')),
        ('flexible', 2, 'flexible_from_zero', *ACCUMULATED,
         *resumed(folder, 'zero')),
        # 16 clips a step
        ('ddp', 1, 'alone', 'train_dataloader.batch_size=16'),
        ('ddp', 16, 'sixteen'),
    ]
    done = subprocess.run([
        sys.executable, '-m', 'tests.engines', folder,
        *(';'.join(map(str, spec)) for spec in specs), 'starts', 'backbones'
    ], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-5000:]
    return folder


def state(path):
    """The optimizer's part of a checkpoint of either kind."""
    content = torch.load(path, weights_only=True)
    if 'optimizer' not in content:
        content = torch.load(path.with_suffix('.state.pth'), weights_only=True)
    return content['optimizer']


@pytest.mark.parametrize('name', [
    'ddp', 'zero', 'fsdp', 'zero_from_fsdp', 'fsdp_from_zero',
    'one_from_fsdp', 'flexible_from_zero', 'sixteen'
])
def test_equal_to_one_process(trained, name):
    """Weights, moments and rates; after a resume, too."""
    one = trained / ('alone' if name == 'sixteen' else 'one') / 'epoch_2.pth'
    other = trained / name / 'epoch_2.pth'
    assert_same(weights(one), weights(other), rtol=1e-5, atol=1e-6)
    expected, found = state(one), state(other)
    assert [x['lr'] for x in found['param_groups']] == pytest.approx(
        [x['lr'] for x in expected['param_groups']])
    assert [x['params'] for x in found['param_groups']
            ] == [x['params'] for x in expected['param_groups']]
    assert found['state'].keys() == expected['state'].keys()
    for place, moments in expected['state'].items():
        assert_same(moments, found['state'][place], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize('name', ['ddp_bf16_compressed',
                                  'compressed_from_fsdp'])
def test_compressed_gradients(trained, name):
    """Rounded to 8 bits: near the same weights, not the same."""
    one = weights(trained / 'one/epoch_2.pth')
    other = weights(trained / name / 'epoch_2.pth')
    assert_same(one, other, rtol=1e-2, atol=2e-3)
    assert any(not torch.allclose(one[key], other[key], rtol=1e-6)
               for key in one)


def test_whole_checkpoints_hold_the_frozen_experts(trained):
    expert = torch.load(trained / 'CLIPExpert.pth', weights_only=True)
    for name in ('fsdp_whole', 'zero_whole'):
        found = weights(trained / name / 'epoch_2.pth')
        one = weights(trained / 'one/epoch_2.pth')
        learnt = {key for key in one if 'frozen_identity' not in key}
        assert_same({key: found[key] for key in learnt},
                    {key: one[key] for key in learnt}, rtol=1e-5, atol=1e-6)
        for key, value in expert.items():
            if not key.startswith('norm.'):  # which is trained
                assert torch.equal(found[f'backbone.spatial.{key}'], value)


def test_the_logged_loss_is_the_mean_of_all_processes(trained):

    def logged(name, key):
        log, = trained.glob(f'{name}/*/vis_data/scalars.json')
        return [
            line[key] for line in map(json.loads, log.read_text().splitlines())
            if key in line
        ]

    for key in ('loss', 'top1_acc'):
        assert logged('fsdp_whole', key) == pytest.approx(
            logged('one', key), rel=1e-4)
