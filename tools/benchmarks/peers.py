"""The measurements of ``benchmark_peers.py``."""
import argparse
from pathlib import Path
from typing import Dict, List

import torch
from mmaction.registry import MODELS
from torch import nn

import cast_mmaction  # noqa: F401
from cast_mmaction.models.space_time_vit import SCHEMES
# isort: split
from benchmarking import (CLOCKS, Step, alternate, count_flops, environment,
                          model_bytes, peak_memory, ratio, report)


class TrainingStep:
    """Forward, backward and an AdamW step of a backbone and a classifier.

    Args:
        backbone: Config.
        batch: Clips.
        num_frames: Frames of a clip.
        img_size: Side of a frame, pixels.
        device: Where to compute; in bfloat16 where that is a GPU.
    """

    def __init__(self, backbone: dict, batch: int, num_frames: int,
                 img_size: int, device: torch.device) -> None:
        self.device = device
        backbone = MODELS.build(backbone)
        self.model = nn.Sequential(
            backbone, nn.Linear(*backbone.norm.normalized_shape,
                                400)).to(device).train()
        self.clip = torch.randn(
            batch, 3, num_frames, img_size, img_size, device=device)
        self.labels = torch.arange(batch, device=device)
        # Fused: the step itself takes no memory worth measuring.
        self.optimizer = torch.optim.AdamW(
            [p for p in self.model.parameters() if p.requires_grad],
            lr=1e-4,
            fused=True)
        self()  # makes the optimizer's state

    def __call__(self) -> None:
        with torch.autocast(
                self.device.type,
                torch.bfloat16,
                enabled=self.device.type == 'cuda'):
            scores = self.model(self.clip)
            loss = nn.functional.cross_entropy(scores, self.labels)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def held_bytes(self) -> int:
        """What stays between two steps: weights and optimizer state."""
        state = [x for part in self.optimizer.state.values()
                 for x in part.values() if torch.is_tensor(x)]
        return model_bytes(self.model) + sum(
            x.numel() * x.element_size() for x in state)


def benchmark_evl(args: argparse.Namespace) -> None:
    """A training step of EVL, frozen against end to end."""
    device = torch.device(args.device)

    def step(frozen: bool, batch: int) -> TrainingStep:
        cfg = dict(
            type='EVL',
            num_frames=args.num_frames,
            img_size=args.img_size,
            frozen=frozen)
        return TrainingStep(cfg, batch, args.num_frames, args.img_size, device)

    names = {'frozen': True, 'end to end': False}
    needs = {}
    for name, frozen in names.items():
        peaks = []
        for batch in (args.batch, 2 * args.batch):
            run = step(frozen, batch)
            peaks.append(run.held_bytes() + peak_memory(run, device))
        per_clip = (peaks[1] - peaks[0]) / args.batch
        needs[name] = (peaks[0] - args.batch * per_clip, per_clip)
    contenders = {name: step(x, args.batch) for name, x in names.items()}
    times = alternate(
        contenders, args.rounds, device, warmup=0, clock=CLOCKS[args.clock])
    rows = []
    for name, (fixed, per_clip) in needs.items():
        rows.append({
            'training': name,
            'GB fixed': round(fixed / 1e9, 2),
            'GB a clip': round(per_clip / 1e9, 3),
            f'clips in {args.memory_gb:g} GB': int(
                (args.memory_gb * 1e9 - fixed) / per_clip),
            'time, share of end to end': ratio(times, name, 'end to end'),
        })
    facts = dict(
        environment(device, args.clock),
        batch=args.batch,
        frames=args.num_frames,
        img_size=args.img_size)
    report('A training step of EVL-B/16', rows, facts, args.out)


def scheme(name: str, num_frames: int, img_size: int,
           device: str) -> Step:
    """A forward pass of one clip in one scheme."""
    cfg = dict(
        type='SpaceTimeViT',
        scheme=name,
        num_frames=num_frames,
        img_size=img_size)
    with torch.device('meta'):
        model = MODELS.build(cfg).eval().requires_grad_(False)
    model = model.to_empty(device=device)
    for parameter in model.parameters():
        parameter.fill_(.01)  # any weights cost the same
    clip = torch.ones(1, 3, num_frames, img_size, img_size, device=device)

    def step() -> None:
        with torch.no_grad():
            model(clip)

    return step


def benchmark_timesformer(args: argparse.Namespace) -> None:
    """Multiply-adds and seconds of a forward pass, scheme by scheme."""
    points = [(frames, 224) for frames in args.frames]
    points += [(8, size) for size in args.sizes if (8, size) not in points]
    rows = []
    for num_frames, img_size in sorted(points):
        steps = {
            name: scheme(name, num_frames, img_size, args.device)
            for name in SCHEMES
        }
        times = alternate(
            steps,
            args.rounds,
            torch.device(args.device),
            clock=CLOCKS[args.clock])
        for name in SCHEMES:
            flops = count_flops(scheme(name, num_frames, img_size, 'meta'))
            rows.append(
                dict(
                    scheme=name,
                    frames=num_frames,
                    size=img_size,
                    gmacs=round(flops / 2e9, 1),
                    seconds=round(sorted(times[name])[args.rounds // 2], 4)))
    facts = environment(torch.device(args.device), args.clock)
    report('TimeSformer-B/16, a forward pass of one clip', rows, facts,
           args.out)
    draw(rows, args.chart)


def draw(rows: List[Dict], path: str) -> None:
    """Cost against frames (at 224 pixels) and against pixels (8 frames)."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(9, 6.5), layout='constrained')
    axes = figure.subplots(2, 2, sharex='col', sharey='row')
    columns = (
        ('frames', 'frames of 224 pixels', lambda r: r['size'] == 224),
        ('size', 'side of 8 frames, pixels', lambda r: r['frames'] == 8))
    for (key, label, chosen), column in zip(columns, axes.T):
        for axis, quantity in zip(column, ('gmacs', 'seconds')):
            for name in SCHEMES:
                line = sorted((row[key], row[quantity]) for row in rows
                              if row['scheme'] == name and chosen(row))
                axis.plot(*zip(*line), marker='o', ms=3, label=name)
            axis.set(yscale='log')
            axis.grid(alpha=.3)
        column[-1].set_xlabel(label)
    axes[0, 0].set_ylabel('multiply-adds, G')
    axes[1, 0].set_ylabel('forward pass, s')
    axes[0, 0].legend()
    figure.savefig(path)
    print(f'chart: {Path(path).resolve()}')
