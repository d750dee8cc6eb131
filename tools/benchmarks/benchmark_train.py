"""How long a training waits for its data: ``tools/benchmarks/benchmark.py train``."""
import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Dict, List

import torch
from benchmark_data import make_video, recipe, video_facts
from benchmarking import Figure, environment, json_path, report
from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[2]
WARMUP = 3  # steps that find empty caches

# What is compared. The first loads in the training process itself.
SETTINGS = [
    dict(num_workers=0),
    dict(num_workers=1, persistent_workers=False),
    dict(num_workers=1, persistent_workers=True),
    dict(num_workers=1, persistent_workers=True, prefetch_factor=4),
    dict(num_workers=2, persistent_workers=True),
    dict(num_workers=1, persistent_workers=True, pin_memory=True),
]
KEYS = list(dict.fromkeys(key for setting in SETTINGS for key in setting))


def config(args: argparse.Namespace, folder: str, loader: Dict[str, Any],
           name: str) -> str:
    """Writes the config of a training; gives its path."""
    arch = dict(
        embed_dims=args.width,
        num_layers=args.layers,
        num_heads=args.width // 32)
    expert = dict(arch=arch)
    cfg = Config.fromfile(ROOT / 'configs/_base_/default_runtime.py')
    cfg.merge_from_dict(
        dict(
            model=dict(
                type='Recognizer3D',
                data_preprocessor=dict(
                    type='ActionDataPreprocessor',
                    mean=[123.675, 116.28, 103.53],
                    std=[58.395, 57.12, 57.375],
                    format_shape='NCTHW'),
                backbone=dict(
                    type='CAST',
                    spatial=dict(type='CLIPExpert', **expert),
                    temporal=dict(type='VideoMAEExpert', **expert)),
                cls_head=dict(
                    type='CASTHead', in_channels=args.width, num_classes=4)),
            train_dataloader=dict(
                batch_size=args.batch,
                sampler=dict(type='EpochSampler', shuffle=True),
                dataset=dict(
                    type='VideoListDataset',
                    ann_file=f'{folder}/list.txt',
                    pipeline=recipe('train_pipeline')),
                **loader),
            train_cfg=dict(type='ResumableEpochLoop', max_epochs=2),
            optim_wrapper=dict(
                constructor='LayerDecayOptimWrapperConstructor',
                optimizer=dict(type='AdamW', lr=1e-4)),
            # One line a step, of that step alone.
            log_processor=dict(window_size=1),
            default_hooks=dict(
                logger=dict(interval=1),
                checkpoint=dict(interval=-1, save_best=None),
                strict_load=dict(allow_random_experts=True)),
            work_dir=f'{folder}/{name}'))
    if not torch.cuda.is_available():
        cfg.env_cfg.dist_cfg.backend = 'gloo'
    path = f'{folder}/{name}.py'
    cfg.dump(path)
    return path


def train(path: str, processes: int) -> None:
    """Runs ``tools/dist_train.sh``.

    Raises:
        SystemExit: with its last lines, if it fails.
    """
    done = subprocess.run(
        ['bash', str(ROOT / 'tools/dist_train.sh'), path, str(processes)],
        capture_output=True,
        text=True)
    if done.returncode:
        raise SystemExit(f'training failed:\n{done.stderr[-3000:]}')


def steps(work_dir: Path) -> List[Dict[str, float]]:
    """What the log says about every step after the first few."""
    path, = work_dir.glob('*/vis_data/scalars.json')
    lines = map(json.loads, path.read_text().splitlines())
    return [line for line in lines if 'data_time' in line][WARMUP:]


def run(args: argparse.Namespace) -> None:
    """Train with every loader and report. A round is a step of an epoch."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        video = make_video(os.path.join(folder, 'video.mp4'))
        clips = args.rounds * args.processes * args.batch
        Path(folder, 'list.txt').write_text(f'{video} 0\n' * clips)
        for number in args.settings or range(len(SETTINGS)):
            loader = SETTINGS[number]
            name = f'setting-{number}'
            train(config(args, folder, loader, name), args.processes)
            log = steps(Path(folder, name))
            waits = sum(x['data_time'] for x in log)
            seconds = sum(x['time'] for x in log)
            clips_done = args.processes * args.batch * len(log)
            rows.append({
                **{key: loader.get(key, '') for key in KEYS},
                'seconds a step': Figure.of([x['time'] for x in log]),
                'clips/s': f'{clips_done / seconds:.2f}',
                'waiting for data': f'{waits / seconds:.1%}'
            })
        facts = dict(
            environment(torch.device(args.device)), **video_facts(video))
    report(
        f'{args.processes} processes, batch {args.batch} each, width '
        f'{args.width}, {args.layers} layers', rows, facts,
        json_path(args.json, 'train'))
