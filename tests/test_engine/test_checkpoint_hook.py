import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
import torch
from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner

from cast_mmaction.engine import SafeCheckpointHook
from tests.toy import ROOT, assert_same, toy_config, weights


def train(work_dir, **changes):
    runner = Runner.from_cfg(toy_config(work_dir, **changes))
    runner.train()
    return runner


class StopAfterTwo(Hook):

    def after_train_epoch(self, runner):
        runner.train_loop.stop_training = runner.epoch == 1


def files(folder):
    return sorted(x.name for x in folder.iterdir() if x.is_file())


def test_what_a_run_leaves(tmp_path):
    train(tmp_path)
    assert (tmp_path / 'last_checkpoint').read_text() == str(
        tmp_path / 'epoch_3.pth')
    record = json.loads((tmp_path / 'best_checkpoints.json').read_text())
    best = record['acc/top1']['file']
    assert files(tmp_path) == sorted({
        best, 'best_checkpoints.json', 'default_runtime.py', 'epoch_2.pth',
        'epoch_2.state.pth', 'epoch_3.pth', 'epoch_3.state.pth',
        'last_checkpoint', 'last_validation'
    })
    epoch = best.replace('best_acc_top1_', '')
    assert (tmp_path / best).samefile(tmp_path / epoch)  # not written twice


def test_a_file_is_plain_data(tmp_path):
    train(tmp_path, epochs=1)
    content = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)
    loss = content['message_hub']['log_scalars']['train/loss']
    assert loss['values'].shape == loss['counts'].shape == (6, )


def test_the_hosts_own_file_still_is_not(tmp_path):
    """Fails once MMEngine's files load as plain data: then so can ours."""
    train(
        tmp_path,
        epochs=1,
        **{
            'default_hooks.checkpoint':
            dict(_delete_=True, type='CheckpointHook', interval=1)
        })
    with pytest.raises(Exception, match='HistoryBuffer'):
        torch.load(tmp_path / 'epoch_1.pth', weights_only=True)


def test_the_log_goes_on(tmp_path):
    train(tmp_path, epochs=1)
    runner = train(tmp_path, epochs=2, resume=True)
    loss = runner.message_hub.get_scalar('train/loss')
    assert isinstance(loss, HistoryBuffer)
    assert len(loss.data[0]) == 12


def test_what_is_not_plain_is_left_out(tmp_path, caplog):
    runner = Runner.from_cfg(toy_config(tmp_path, epochs=1))
    runner.message_hub.update_info('strange', object())
    runner.train()
    content = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)
    assert 'strange' not in content['message_hub']['runtime_info']


@pytest.mark.parametrize('dropout', [0., .5])
def test_resumed_equals_uninterrupted(tmp_path, dropout):
    changes = {'model.dropout': dropout}
    train(tmp_path / 'whole', epochs=3, **changes)
    runner = Runner.from_cfg(toy_config(tmp_path / 'part', **changes))
    runner.register_hook(StopAfterTwo())
    runner.train()
    train(tmp_path / 'part', epochs=3, resume=True, **changes)
    assert_same(
        weights(tmp_path / 'whole/epoch_3.pth'),
        weights(tmp_path / 'part/epoch_3.pth'))


def test_a_failed_write_loses_nothing(tmp_path, monkeypatch):
    train(tmp_path, epochs=2, **{'default_hooks.checkpoint.max_keep_ckpts': 1})
    before = weights(tmp_path / 'epoch_2.pth')
    save = Runner.save_checkpoint

    def disk_full(self, out_dir, filename, **kwargs):
        save(self, out_dir, filename, **kwargs)
        with open(os.path.join(out_dir, filename), 'r+b') as file:
            file.truncate(100)
        raise OSError('No space left on device')

    monkeypatch.setattr(Runner, 'save_checkpoint', disk_full)
    with pytest.raises(OSError, match='No space'):
        train(
            tmp_path,
            epochs=3,
            resume=True,
            **{'default_hooks.checkpoint.max_keep_ckpts': 1})
    assert (tmp_path / 'last_checkpoint').read_text().endswith('epoch_2.pth')
    assert_same(before, weights(tmp_path / 'epoch_2.pth'))
    assert not [x for x in files(tmp_path) if x.endswith('.tmp')]


def test_the_pointer_moves_before_the_old_file_goes(tmp_path, monkeypatch):
    pointed = []

    def removed(self, names):
        pointed.append((tmp_path / 'last_checkpoint').read_text())

    monkeypatch.setattr(SafeCheckpointHook, '_remove', removed)
    train(
        tmp_path, epochs=2, **{
            'default_hooks.checkpoint.max_keep_ckpts': 1,
            'default_hooks.checkpoint.save_best': None
        })
    assert [x[-11:] for x in pointed] == ['epoch_1.pth', 'epoch_2.pth']


def test_the_best_is_remembered(tmp_path):
    train(tmp_path, epochs=1)
    record = tmp_path / 'best_checkpoints.json'
    best = json.loads(record.read_text())['acc/top1']
    best['score'] = 2.  # no accuracy is better
    record.write_text(json.dumps({'acc/top1': best}))
    train(tmp_path, epochs=2, resume=True)
    assert json.loads(record.read_text())['acc/top1'] == best
    assert (tmp_path / best['file']).is_file()


def test_the_best_of_an_epoch_that_was_not_saved(tmp_path):
    train(tmp_path, epochs=1, **{
        'default_hooks.checkpoint.interval': 5,
        'default_hooks.checkpoint.save_last': False
    })
    best = tmp_path / 'best_acc_top1_epoch_1.pth'
    assert 'optimizer' not in torch.load(best, weights_only=True)
    assert not (tmp_path / 'epoch_1.pth').exists()


def test_without_links(tmp_path, monkeypatch):

    def link(*args):
        raise OSError('Operation not permitted')

    monkeypatch.setattr(os, 'link', link)
    train(tmp_path, epochs=1)
    assert_same(
        weights(tmp_path / 'epoch_1.pth'),
        weights(tmp_path / 'best_acc_top1_epoch_1.pth'))


def test_only_local_folders(tmp_path):
    runner = Runner.from_cfg(
        toy_config(
            tmp_path, **{'default_hooks.checkpoint.out_dir': 'http://a/b'}))
    with pytest.raises(ValueError, match='http://a/b'):
        runner.train()


@pytest.mark.slow
def test_killed_while_writing(tmp_path):
    """SIGKILL in the middle of the second write, then resume."""
    cfg = toy_config(
        tmp_path / 'part', **{'default_hooks.checkpoint.max_keep_ckpts': 1})
    cfg.dump(tmp_path / 'toy.py')
    script = tmp_path / 'killed.py'
    script.write_text(
        'import os, signal, sys\n'
        'import cast_mmaction\n'
        'from mmengine.config import Config\n'
        'from mmengine.runner import Runner\n'
        'save = Runner.save_checkpoint\n'
        'def half(self, folder, name, **kwargs):\n'
        '    save(self, folder, name, **kwargs)\n'
        '    if "epoch_2" in name:\n'
        '        os.truncate(os.path.join(folder, name), 100)\n'
        '        os.kill(os.getpid(), signal.SIGKILL)\n'
        'Runner.save_checkpoint = half\n'
        'Runner.from_cfg(Config.fromfile(sys.argv[1])).train()\n')
    killed = subprocess.run([sys.executable, script, tmp_path / 'toy.py'],
                            env=dict(os.environ, PYTHONPATH=str(ROOT)))
    assert killed.returncode == -signal.SIGKILL
    train(tmp_path / 'part', resume=True)
    train(tmp_path / 'whole')
    assert_same(
        weights(tmp_path / 'whole/epoch_3.pth'),
        weights(tmp_path / 'part/epoch_3.pth'))
    shutil.rmtree(tmp_path / 'part')
