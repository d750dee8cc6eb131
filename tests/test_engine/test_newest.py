"""Damaged files, and what a kill leaves over."""
import json
import random
import shutil

import pytest
import torch
from mmengine.runner import Runner

from cast_mmaction.checkpoints import CheckpointError
from cast_mmaction.engine.newest import check_whole, find_newest
from tests.test_engine.test_resume import StopAfterTwo, change_meta, warnings
from tests.toy import assert_same, toy_config, weights


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Two of three epochs, and all three."""
    folder = tmp_path_factory.mktemp('trained')
    Runner.from_cfg(toy_config(folder / 'whole')).train()
    runner = Runner.from_cfg(toy_config(folder / 'part'))
    runner.register_hook(StopAfterTwo())
    runner.train()
    return folder


@pytest.fixture
def part(trained, tmp_path):
    """A copy of the two epochs; its pointer names the original."""
    shutil.copytree(trained / 'part', tmp_path / 'part')
    pointer = tmp_path / 'part/last_checkpoint'
    pointer.write_text(str(tmp_path / 'part/epoch_2.pth'))
    return tmp_path / 'part'


def resume(folder, monkeypatch, **changes):
    """Train to the end; what was said."""
    runner = Runner.from_cfg(toy_config(folder, resume=True, **changes))
    said = warnings(runner, monkeypatch)
    runner.train()
    return '\n'.join(said)


def flip(path):
    """A bit in the largest tensor."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


DAMAGES = {
    'truncated': lambda path: path.write_bytes(path.read_bytes()[:-300]),
    'empty': lambda path: path.write_bytes(b''),
    'zeros': lambda path: path.write_bytes(bytes(path.stat().st_size)),
    'a flipped bit': flip,
    'gone': lambda path: path.unlink(),
}


@pytest.mark.parametrize('damage', DAMAGES)
@pytest.mark.parametrize('name', ['epoch_2.pth', 'epoch_2.state.pth'])
def test_the_one_before_is_taken(part, trained, monkeypatch, damage, name):
    DAMAGES[damage](part / name)
    said = resume(part, monkeypatch)
    assert f'not resumed: {part / name}' in said
    assert_same(
        weights(trained / 'whole/epoch_3.pth'), weights(part / 'epoch_3.pth'))


@pytest.mark.parametrize('text', ['', '\0\0\0', 'nowhere/epoch_9.pth', None])
def test_a_pointer_to_nothing(part, trained, monkeypatch, text):
    pointer = part / 'last_checkpoint'
    pointer.write_text(text) if text is not None else pointer.unlink()
    resume(part, monkeypatch)
    assert_same(
        weights(trained / 'whole/epoch_3.pth'), weights(part / 'epoch_3.pth'))


def test_a_moved_folder(trained, tmp_path):
    """The pointer's file counts where it is, not an old one elsewhere."""
    folder = tmp_path / 'moved'
    shutil.copytree(trained / 'part', folder)
    (folder / 'last_checkpoint').write_text('/former/place/epoch_1.pth')
    found = find_newest(folder, folder, 'epoch_{}.pth', [])
    assert (found.path, found.skipped) == (folder / 'epoch_1.pth', [])


def test_nothing_whole(part, monkeypatch):
    for name in ('epoch_1.pth', 'epoch_2.pth'):
        DAMAGES['truncated'](part / name)
    with pytest.raises(CheckpointError, match='epoch_2.*epoch_1.*anew'):
        resume(part, monkeypatch)


def test_nothing_at_all(tmp_path, monkeypatch):
    resume(tmp_path, monkeypatch, epochs=1)
    assert (tmp_path / 'epoch_1.pth').is_file()


def test_a_named_file_that_is_damaged(part, monkeypatch):
    path = part / 'epoch_2.pth'
    flip(path)
    with pytest.raises(CheckpointError, match='epoch_2.pth is damaged'):
        resume(part, monkeypatch, load_from=str(path))


def test_any_bit(part):
    """It is noticed, or changes nothing that is read."""
    path = part / 'epoch_2.pth'
    whole, content = weights(path), path.read_bytes()
    draw = random.Random(0)
    noticed = 0
    for _ in range(150):
        damaged = bytearray(content)
        damaged[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        try:
            check_whole(path)
        except CheckpointError:
            noticed += 1
        else:
            assert_same(whole, weights(path))
    assert noticed > 50


def test_best_is_read_from_the_checkpoint_if_its_record_is_damaged(
        part, monkeypatch):
    record = part / 'best_checkpoints.json'
    best = json.loads(record.read_text())
    change_meta(
        part / 'epoch_2.pth', lambda x: x['message_hub']['runtime_info'].
        update(best={'acc/top1': dict(best['acc/top1'], score=2.)}))
    record.write_text('{"acc/top1": {"sco')
    said = resume(part, monkeypatch)
    assert f'{record} is damaged' in said
    assert not (part / 'best_acc_top1_epoch_3.pth').exists()


def test_what_a_kill_has_left_is_removed(part, monkeypatch):
    """Between the new pointer and the removal of what it replaces."""
    best = json.loads((part / 'best_checkpoints.json').read_text())
    best = best['acc/top1']['file']
    change_meta(
        part / 'epoch_2.pth', lambda x: x['message_hub']['runtime_info'].
        update(outdated_ckpts=['epoch_0.pth'], keep_ckpt_ids=[1, 2]))
    stale = [
        'epoch_0.pth', 'epoch_0.state.pth', '.epoch_1.pth.tmp',
        '.epoch_3.state.pth.tmp', '.preempted.pth.tmp',
        '.best_acc_top1_epoch_2.pth.tmp', '.best_checkpoints.json.tmp',
        '.last_checkpoint.tmp', 'best_acc_top1_epoch_0.pth'
    ]
    kept = ['epoch_mine.txt', 'best_of_all.pth', '.notes.tmp']
    for name in stale + kept:
        (part / name).write_bytes(b'x')
    resume(part, monkeypatch, epochs=2)  # there is nothing left to train
    names = {x.name for x in part.iterdir()}
    assert not names & set(stale)
    assert {*kept, 'epoch_1.pth', 'epoch_2.pth', best} <= names


@pytest.mark.parametrize('epochs, made_up', [(2, [2]), (3, [2, 3])])
def test_a_validation_that_was_cut_is_made_up(part, monkeypatch, epochs,
                                              made_up):
    """Also after the last epoch; the best follows it."""
    from mmengine.runner import ValLoop
    done = []
    run = ValLoop.run

    def watched(self):
        done.append(self.runner.epoch)
        return run(self)

    monkeypatch.setattr(ValLoop, 'run', watched)
    (part / 'last_validation').write_text('1')
    record = part / 'best_checkpoints.json'
    (part / 'best_acc_top1_epoch_2.pth').unlink(missing_ok=True)
    record.write_text(json.dumps(
        {'acc/top1': dict(score=-1., file='best_acc_top1_epoch_1.pth')}))
    resume(part, monkeypatch, epochs=epochs)
    assert done == made_up
    best = json.loads(record.read_text())['acc/top1']
    assert best['score'] > -1 and (part / best['file']).is_file()
    if epochs == 2:
        assert (part / best['file']).samefile(part / 'epoch_2.pth')
        resume(part, monkeypatch, epochs=2)
        assert done == made_up  # once is enough


def test_weights_that_are_not_finite_are_not_saved(part, monkeypatch):
    before = weights(part / 'epoch_2.pth')
    runner = Runner.from_cfg(toy_config(part, resume=True))

    def spoil(hook, runner, **kwargs):
        runner.model.head.bias.data[0] = float('nan')

    monkeypatch.setattr('mmengine.hooks.ParamSchedulerHook.after_train_epoch',
                        spoil)
    with pytest.raises(FloatingPointError, match='head.bias.*epoch 3'):
        runner.train()
    assert not list(part.glob('epoch_3*'))
    assert_same(before, weights(part / 'epoch_2.pth'))
    assert (part / 'last_checkpoint').read_text().endswith('epoch_2.pth')
