"""CAST on EPIC-KITCHENS-100 in small, from videos to leaderboard file."""
import os
import re
import subprocess
import sys

import pytest
from mmengine.config import Config

from cast_mmaction.evaluation.predictions import load_dump, score
from .conftest import ROOT
from .submission import read_submission
from .untrimmed import make_untrimmed

pytestmark = pytest.mark.slow

FRAMES, SIZE = 8, 64


def small_config(folder, train, val):
    """configs/cast_ek100.py with a tiny model and these videos."""
    cfg = Config.fromfile(ROOT / 'configs/cast_ek100.py')
    for stream in ('spatial', 'temporal'):
        cfg.model.backbone[stream].update(
            arch=dict(embed_dims=48, num_layers=2, num_heads=3),
            img_size=SIZE,
            num_frames=FRAMES,
            pretrained=None)
    cfg.model.cls_head.in_channels = 48
    cfg.default_hooks.strict_load.allow_random_experts = True
    cfg.optim_wrapper.update(accumulative_counts=1)
    cfg.optim_wrapper.optimizer.lr = 3e-2
    cfg.train_cfg.update(max_epochs=4, val_interval=4)
    cfg.param_scheduler[0].warmup = 1
    for split, ann_file in dict(train=train, val=val, test=val).items():
        loader = cfg[f'{split}_dataloader']
        loader.num_workers = 1
        loader.dataset.ann_file = ann_file
        loader.dataset.data_prefix.videos = str(folder)
        loader.dataset.class_files = dict(
            tail_verbs=f'{folder}/tail_verbs.csv',
            tail_nouns=f'{folder}/tail_nouns.csv',
            unseen_participants=f'{folder}/unseen.csv')
        for step in loader.dataset.pipeline:
            for key, value in dict(
                    clip_len=FRAMES,
                    scale=(SIZE, SIZE),
                    size=SIZE,
                    crop_size=SIZE).items():
                if key in step:
                    step[key] = value
    return cfg


def run(*command):
    done = subprocess.run([str(part) for part in command],
                          cwd=ROOT,
                          env=dict(os.environ, CUDA_VISIBLE_DEVICES=''),
                          capture_output=True,
                          text=True,
                          timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def figures_in(text):
    found = re.findall(r'((?:all|tail|unseen)/\w+):? +([\d.]+)', text)
    return {name: float(value) for name, value in found}


def test_from_videos_to_the_leaderboard(shared, tmp_path):
    lists = make_untrimmed(
        shared / 'clips/actions', tmp_path, clips_per_video=12)
    (tmp_path / 'tail_verbs.csv').write_text('verb\n5\n6\n')
    (tmp_path / 'tail_nouns.csv').write_text('noun\n53\n63\n')
    (tmp_path / 'unseen.csv').write_text('participant_id\nP04\n')
    config, work = tmp_path / 'config.py', tmp_path / 'work'
    small_config(tmp_path, **lists).dump(config)

    log = run('tools/dist_train.sh', config, 2, '--work-dir', work)
    losses = [float(loss) for loss in re.findall(r' loss: ([\d.]+)', log)]
    assert losses[-1] < losses[0]
    assert 'noun_top1_acc' in log and 'could not be read' not in log

    best, = work.glob('best_all_action_top1_epoch_*.pth')
    dump = tmp_path / 'out.pkl'
    log = run('tools/dist_test.sh', config, best, 2, '--work-dir', work,
              '--dump', dump)
    tested = figures_in(log)
    assert len(tested) == 13

    # Padding of the two processes is gone; every narration is there.
    predictions = load_dump(str(dump))
    assert sorted(predictions.narration_ids) == sorted(
        f'P04_01_{place}' for place in range(12))
    fused = run(sys.executable, 'tools/results/fuse_results.py', dump,
                '--annotations', lists['val'])
    assert figures_in(fused)['all/verb_top5'] == pytest.approx(
        tested['all/verb_top5'], abs=0.01)

    run(sys.executable, 'tools/results/make_submission.py', dump, lists['val'],
        tmp_path / 'out.zip', '--sls-pt', 2, '--sls-tl', 3, '--sls-td', 3)
    back = read_submission(str(tmp_path / 'out.zip'))
    labels = dict.fromkeys(back.narration_ids, (3, 33))
    assert score(back, labels, {}) == score(predictions, labels, {})
