"""The generated verb-noun set and the pre-training of its experts."""
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from cast_mmaction.checkpoints import load_pretrained
from cast_mmaction.datasets import EpicKitchensDataset
from cast_mmaction.evaluation.predictions import Predictions
from mmaction.registry import DATASETS, MODELS
from tests.conftest import ROOT

sys.path.append(str(ROOT / 'tools' / 'demo'))
import make_clips  # noqa: E402
import expert_training  # noqa: E402
import relation  # noqa: E402
import shapes  # noqa: E402
import table  # noqa: E402

CONFIG = ROOT / 'configs/cast_demo.py'


def draws(draw, count, seed=0):
    return [draw(np.random.default_rng([seed, i])) for i in range(count)]


def test_a_clip_depends_on_its_generator_alone():
    first, again, other = draws(shapes.draw_clip, 1) + draws(
        shapes.draw_clip, 1) + draws(shapes.draw_clip, 1, seed=1)
    assert (first[0] == again[0]).all() and first[1:] == again[1:]
    assert (first[0] != other[0]).any()


def test_actions_are_the_pairs_that_fit():
    pairs = {(verb, noun) for _, verb, noun in draws(shapes.draw_clip, 800)}
    assert pairs == {(shapes.verb_of(motion, noun, wall), noun)
                     for motions in shapes.MOTIONS for motion in motions
                     for noun in range(len(shapes.NOUNS)) for wall in (0, 1)}
    assert len(pairs) == 56
    assert {verb for verb, _ in pairs} == set(range(len(shapes.VERBS)))


def test_a_direction_is_towards_the_wall_or_away_from_it():
    verbs = [
        shapes.VERBS[shapes.verb_of(motion, 0, wall)]
        for motion in ('left', 'right') for wall in (0, 1)
    ]
    assert verbs == ['move towards', 'move away', 'move away', 'move towards']


def test_pairs_of_verbs_are_judged_among_themselves():
    ids = [f'test_{i}' for i in range(5)]
    labels = dict(zip(ids, (0, 1, 2, 6, 4)))
    verb = np.full((5, 8), .01)
    verb[0, [0, 5]] = .4, .5  # towards, but taken for a wobble
    verb[1, [0, 1]] = .6, .3  # away, taken for towards
    verb[2, 2] = verb[3, 7] = verb[4, 4] = .9  # the second swells
    figures = relation.accuracies(
        Predictions(ids, np.log(verb), np.zeros((5, 8)), np.zeros(5, bool)),
        labels)
    assert figures['move towards or move away'] == 50
    assert figures['rise or fall'] == 100
    assert figures['swell or unfold'] == 0
    assert figures['tremble or wobble'] == 100
    assert figures['which pair'] == 80


def test_only_one_shape_moves(monkeypatch):
    monkeypatch.setattr(shapes, 'NOISE', 0)
    for clip, _, mask in draws(shapes.draw_motion, 20):
        moved = (clip != clip[:1]).any(-1)
        assert moved.any()
        assert mask.any((1, 2)).sum() == shapes.HALF
        # What it uncovers as it leaves its place is beside the mask.
        near = cv2.dilate(mask.any(0).astype(np.uint8), np.ones((9, 9)))
        assert not moved[:, near == 0].any()


def test_no_frame_shows_a_motion_and_the_texture_that_moves(monkeypatch):
    painted = {}

    def record(frame, thing, x, y, radius, blurred=False, paint=shapes._paint):
        painted.setdefault(id(thing), []).append((x, y, radius, blurred))
        return paint(frame, thing, x, y, radius, blurred)

    monkeypatch.setattr(shapes, '_paint', record)
    for seed in range(20):
        painted.clear()
        shapes.draw_clip(np.random.default_rng(seed))
        moving = 0
        for frames in painted.values():
            blurred = [x[3] for x in frames]
            assert sum(blurred) == shapes.HALF
            steps = zip(frames, frames[1:])
            moves = [before[:3] != after[:3] for before, after in steps]
            moving += any(moves)
            assert all(blurred[i] or blurred[i + 1]
                       for i, move in enumerate(moves) if move)
        assert moving == 1


def test_the_clips_of_a_split_are_written_once(tmp_path):
    folder = tmp_path / 'clips'
    folder.mkdir()
    make_clips.write_split(tmp_path, 'test', 3, 0, 1)
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == [
        f'test_00000{i}.mp4' for i in range(3)
    ]
    before = [file.stat().st_mtime_ns for file in files]
    files[1].unlink()
    make_clips.write_split(tmp_path, 'test', 3, 0, 1)
    after = [file.stat().st_mtime_ns for file in sorted(folder.iterdir())]
    assert [a == b for a, b in zip(before, after)] == [True, False, True]


@pytest.mark.parametrize('decoder', ['pyav', 'decord'])
def test_written_clips_keep_their_textures(tmp_path, decoder):
    (tmp_path / 'clips').mkdir()
    for name in ('verb', 'noun'):
        make_clips.write_classes(tmp_path / f'{name}_classes.csv',
                                 getattr(shapes, f'{name.upper()}S'))
    make_clips.write_split(tmp_path, 'test', 4, 0, 1)
    cfg = Config.fromfile(CONFIG).test_dataloader.dataset
    cfg.data_root = str(tmp_path)
    cfg.pipeline[0].decoder = decoder
    dataset = DATASETS.build(cfg)
    assert isinstance(dataset, EpicKitchensDataset)
    assert dataset.metainfo['verb_classes'] == list(shapes.VERBS)
    for i, item in enumerate(dataset):
        rng = np.random.default_rng([0, make_clips.SPLITS.index('test'), i])
        clip, verb, noun = shapes.draw_clip(rng)
        assert item['data_samples'].gt_verb == verb
        assert item['data_samples'].gt_noun == noun
        seen = item['inputs'][0].permute(1, 2, 3, 0)
        assert seen.shape == clip.shape
        # Video coding thins out colours; brightness carries the textures.
        brightness = [x.astype(float).mean(-1) for x in (seen.numpy(), clip)]
        assert np.corrcoef(*(x.ravel() for x in brightness))[0, 1] > 0.97


@pytest.mark.parametrize('name', ['spatial', 'temporal'])
def test_an_interrupted_pretraining_gives_the_same_expert(
        name, tmp_path, monkeypatch):
    cfg = Config.fromfile(CONFIG)
    monkeypatch.setitem(expert_training.TASKS, name,
                        expert_training.TASKS[name]._replace(batch=2))
    monkeypatch.setattr(expert_training, 'REPORT', 2)
    monkeypatch.setattr(expert_training, 'WARMUP', 1)
    expert_training.train(name, tmp_path / 'whole.pth', cfg, seed=0, steps=4)

    def stop(task, seed, step, draw=expert_training.draw_batch):
        if step == 3:
            raise KeyboardInterrupt
        return draw(task, seed, step)

    with monkeypatch.context() as patch:
        patch.setattr(expert_training, 'draw_batch', stop)
        with pytest.raises(KeyboardInterrupt):
            expert_training.train(
                name, tmp_path / 'parts.pth', cfg, seed=0, steps=4)
    assert not (tmp_path / 'parts.pth').exists()
    expert_training.train(name, tmp_path / 'parts.pth', cfg, seed=0, steps=4)
    assert {file.name for file in tmp_path.iterdir()} == {
        'whole.pth', 'parts.pth'
    }

    experts = []
    for file in ('whole.pth', 'parts.pth'):
        experts.append(MODELS.build(cfg.model.backbone[name]))
        load_pretrained(experts[-1], str(tmp_path / file),
                        experts[-1].source)
    for a, b in zip(experts[0].parameters(), experts[1].parameters()):
        assert torch.equal(a, b)


def test_the_temporal_expert_begins_with_the_change_between_frames():
    weight = torch.randn(8, 3, 2, 4, 4)
    expert_training.see_change(weight)
    still = torch.randn(3, 1, 4, 4).expand(3, 2, 4, 4)
    response = (weight * still).sum((1, 2, 3, 4))
    assert response[:4].abs().max() < 1e-5 < response[4:].abs().min()


def test_the_table_reads_the_last_test_of_each_model(tmp_path):
    for i, name in enumerate(table.ROWS):
        for stamp, action in (('1', 0), ('2', 30. * i)):
            file = tmp_path / name / stamp / f'{stamp}.json'
            file.parent.mkdir(parents=True)
            file.write_text(json.dumps({
                'all/verb_top1': 50., 'all/noun_top1': 60.25,
                'all/action_top1': action}))
    out = subprocess.run(
        [sys.executable, table.__file__, str(tmp_path)], check=True,
        capture_output=True, text=True).stdout
    assert '| CAST                            | 50.0 | 60.2 |   90.0 |' in out
    assert 'worth 30.0 points of action' in out


def test_the_table_says_what_was_not_tested(tmp_path):
    with pytest.raises(FileNotFoundError, match='cast_demo'):
        table.read_result(tmp_path / 'cast_demo')
