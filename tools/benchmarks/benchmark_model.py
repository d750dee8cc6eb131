"""How fast and how lean the model is: ``tools/benchmarks/benchmark.py model``."""
import argparse
from typing import Any, Dict, List, Optional, Tuple

import torch
import torch.nn.functional as F
from benchmarking import (CLOCKS, FULL, Figure, Step, Times, alternate,
                          count_flops, environment, fits, json_path,
                          matmul_step, memory_size, model_bytes, peak_memory,
                          rate, ratio, report)
from mmaction.registry import MODELS
from torch import Tensor, nn

from cast_mmaction.models.attention import eager_kernel, use_kernel
from cast_mmaction.models.cast import CAST, Given
from cast_mmaction.models.vit import ARCHS, PatchEmbed, QuickGELU

NUM_CLASSES = 400
TINY = dict(embed_dims=48, num_layers=2, num_heads=2)
MATMUL = 'matmul'
# What `growth` changes about the first, one thing at a time; then the clips.
GROWTH = [
    dict(frames=8),
    dict(frames=32),
    dict(size=288),
    dict(arch='large'),
]
# The share of a device's memory that a model may take.
USABLE_MEMORY = .8


class WrittenGELU(nn.Module):
    """QuickGELU as published: three kernels."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class ConvPatchEmbed(PatchEmbed):
    """The patch embedding as published: a strided convolution."""

    def forward(self, clip: Tensor) -> Tensor:
        return self.projection(clip).flatten(3).permute(0, 2, 3, 1)


@MODELS.register_module()
class EagerTwin(CAST):
    """CAST computed as published implementations do.

    Same weights, same results, and: attention written out (scores and maps
    exist as tensors, and autograd keeps the maps of a training step), all
    tokens through every block, convolutions for patches, QuickGELU in three
    steps. Weights that are frozen are frozen here too.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        for module in self.modules():
            if isinstance(module, PatchEmbed):
                module.__class__ = ConvPatchEmbed
            for name, child in module.named_children():
                if isinstance(child, QuickGELU):
                    setattr(module, name, WrittenGELU())

    def forward(self, clip: Tensor):
        experts = self.named_experts()
        x = {name: expert.embed(clip) for name, expert in experts.items()}
        for layer, blocks in zip(self.layers, self._stages()):
            x = layer(blocks, x, Given({}, {}))
        return tuple(experts[name].read_out(x[name]) for name in x)


def video_experts(args: argparse.Namespace) -> Dict[str, dict]:
    """Configs of the spatial and the temporal expert."""
    arch = TINY if args.arch == 'tiny' else args.arch
    expert = dict(arch=arch, img_size=args.size, num_frames=args.frames)
    return dict(
        spatial=dict(type='CLIPExpert', **expert),
        temporal=dict(type='VideoMAEExpert', **expert))


class Contender:
    """A model with its two steps.

    Args:
        backbone: Options of the backbone; ``type`` is CAST or EagerTwin.
        args: The command line.
        dtype: Precision; anything but float32 is autocast.
        head: Type of the head.
        sound: Frames of the spectrogram that it hears, if any.
    """

    def __init__(self,
                 backbone: Dict[str, Any],
                 args: argparse.Namespace,
                 dtype: torch.dtype,
                 head: str = 'CASTHead',
                 sound: int = 0) -> None:
        torch.manual_seed(0)
        if 'experts' not in backbone:
            backbone = dict(video_experts(args), **backbone)
        backbone = MODELS.build(backbone)
        dims = backbone.spatial.embed_dims
        head = MODELS.build(
            dict(type=head, in_channels=dims, num_classes=NUM_CLASSES))
        self.device = torch.device(args.device)
        self.dtype = dtype
        self.model = nn.ModuleList([backbone, head]).to(self.device)
        for parameter in self.model.parameters():  # no silent zero starts
            if parameter.requires_grad:
                nn.init.normal_(parameter, std=.02)
        self.kernel = (
            eager_kernel if isinstance(backbone, EagerTwin) else None)
        self.clip = torch.randn(
            args.batch, 3, args.frames, args.size, args.size).to(self.device)
        self.sound = {}
        if sound:
            bins = backbone.audio.num_mel_bins
            self.sound['audio'] = torch.randn(
                args.batch, 1, sound, bins).to(self.device)
        self.labels = torch.arange(
            args.batch, device=self.device) % NUM_CLASSES
        self.optimizer = torch.optim.AdamW(
            [p for p in self.model.parameters() if p.requires_grad], lr=1e-5)

    def scores(self) -> Tensor:
        """``(batch, NUM_CLASSES)``."""
        backbone, head = self.model
        with torch.autocast(
                self.device.type,
                self.dtype if self.dtype != torch.float32 else None,
                enabled=self.dtype != torch.float32):
            if self.kernel is None:
                return head(backbone(self.clip, **self.sound))
            with use_kernel(self.kernel):
                return head(backbone(self.clip, **self.sound))

    def forward(self) -> Tensor:
        """One batch without gradients."""
        self.model.eval()
        with torch.no_grad():
            return self.scores()

    def training(self) -> None:
        """One step of the optimizer."""
        self.model.train()
        try:
            F.cross_entropy(self.scores().float(), self.labels).backward()
            self.optimizer.step()
        finally:  # also where memory has run out
            self.optimizer.zero_grad()

    def resident(self) -> int:
        """Bytes of weights and of the optimizer's state."""
        state = sum(
            x.numel() * x.element_size()
            for entry in self.optimizer.state.values()
            for x in entry.values() if isinstance(x, Tensor))
        return model_bytes(self.model) + state

    def peak(self, step: Step) -> int:
        """Most bytes at once, with weights and optimizer; warm up before."""
        return self.resident() + peak_memory(step, self.device)


def contenders(args: argparse.Namespace) -> Dict[str, Contender]:
    """The twin first, then CAST and CAST with the options asked for."""
    dtype = getattr(torch, args.dtype)
    twin_dtype = getattr(torch, args.baseline_dtype or args.dtype)
    cast = dict(type='CAST')
    models = {
        f'eager twin, {_name(twin_dtype)}':
        Contender(dict(type='EagerTwin'), args, twin_dtype),
        f'CAST, {_name(dtype)}': Contender(cast, args, dtype)
    }
    options = dict(
        half=dict(frozen_dtype=args.dtype),
        compile=dict(compile=True),
        with_cp=dict(with_cp=True))
    for name in args.options:
        if name == 'half' and dtype == torch.float32:
            raise SystemExit('--options half needs --dtype bfloat16 or '
                             'float16')
        models[f'CAST, {_name(dtype)}, {name}'] = Contender(
            dict(cast, **options[name]), args, dtype)
    return models


def _name(dtype: torch.dtype) -> str:
    return str(dtype).replace('torch.', '')


def speed(args: argparse.Namespace) -> None:
    """CAST and its options against the eager twin."""
    models = contenders(args)
    device = torch.device(args.device)
    baseline, *_ = models
    for kind in ['forward'] + ['training'] * (not args.no_train):
        steps = {n: getattr(model, kind) for n, model in models.items()}
        steps = {n: step for n, step in steps.items() if fits(step)}
        compared = baseline in steps
        roofs = {
            dtype: matmul_step(dtype, device)
            for dtype in {m.dtype for m in models.values()}
        }
        times = alternate(
            dict(steps, **{f'{MATMUL} {_name(d)}': s
                           for d, s in roofs.items()}), args.rounds, device,
            clock=CLOCKS[args.clock])
        peaks = {n: models[n].peak(step) for n, step in steps.items()}
        rows = []
        for name, model in models.items():
            if name not in steps:
                rows.append(dict(model=name, seconds=FULL))
                continue
            flops = _flops(model, steps[name])
            row = _row(times, name, model, roofs, flops, args.batch)
            row['peak GB'] = f'{peaks[name] / 1e9:.2f}'
            if compared:
                row['time / twin'] = ratio(times, name, baseline)
                row['peak / twin'] = f'{peaks[name] / peaks[baseline]:.2f}'
            if compared and kind == 'forward':
                row['difference'] = _difference(model.forward(),
                                                models[baseline].forward())
            rows.append(row)
        rows += _roof_rows(times, roofs)
        report(f'{kind}: {describe(args)}', rows,
               environment(device, args.clock), json_path(args.json, kind))


def _row(times: Times, name: str, model: Contender,
         roofs: Dict[torch.dtype, Step], flops: float,
         batch: int) -> Dict[str, Any]:
    roof = roofs[model.dtype]
    share = Figure.of([
        (flops / a) / (roof.flops / b)
        for a, b in zip(times[name], times[f'{MATMUL} {_name(model.dtype)}'])
    ])
    return {
        'model': name,
        'seconds': Figure.of(times[name]),
        'clips/s': rate(times, name, batch),
        'GFLOP': f'{flops / 1e9:.0f}',
        'GFLOP/s': rate(times, name, flops / 1e9),
        'share of matmul': share
    }


def _roof_rows(times: Times,
               roofs: Dict[torch.dtype, Step]) -> List[Dict[str, Any]]:
    names = {f'{MATMUL} {_name(d)}': s for d, s in roofs.items()}
    return [{
        'model': name,
        'seconds': Figure.of(times[name]),
        'GFLOP/s': rate(times, name, step.flops / 1e9)
    } for name, step in names.items()]


def _flops(model: Contender, step: Step) -> int:
    # A counter sees no operations inside a compiled program, and checkpoints
    # compute twice: useful FLOPs are those of the plain model. What it takes
    # without checkpoints may be too much for all clips; they cost the same.
    backbone = model.model[0]
    options = backbone.compile_options, backbone.with_cp
    batch = model.clip, model.sound, model.labels
    backbone.compile_options, backbone.with_cp = None, False
    model.clip, model.labels = model.clip[:1], model.labels[:1]
    model.sound = {name: x[:1] for name, x in model.sound.items()}
    flops = count_flops(step)
    backbone.compile_options, backbone.with_cp = options
    model.clip, model.sound, model.labels = batch
    return flops * len(model.clip)


def _difference(actual: Tensor, expected: Tensor) -> str:
    error = (actual - expected).norm() / expected.norm()
    return f'{error.item():.1e}'


def describe(args: argparse.Namespace) -> str:
    """Which model on which clips, for the title of a table."""
    return (f'CAST-{args.arch}, {args.frames} x {args.size} x {args.size}, '
            f'batch {args.batch}')


def experts(args: argparse.Namespace) -> None:
    """The frozen experts alone against the host's and open_clip's."""
    import open_clip
    import timm
    device = torch.device(args.device)
    dtype = getattr(torch, args.dtype)
    clip = torch.randn(args.batch, 3, 16, 224, 224, device=device)
    frames = clip[:, :, 1::2].transpose(1, 2).flatten(0, 1).contiguous()
    host = dict(
        type='VisionTransformer', norm_cfg=dict(type='LN', eps=1e-6),
        init_cfg=None)
    pairs = [
        ('VideoMAE-B, 16 frames',
         (MODELS.build(dict(type='VideoMAEExpert')), clip),
         {'MMAction2 VisionTransformer': (MODELS.build(host), clip)}),
        ('CLIP-B/16, 8 frames',
         (MODELS.build(dict(type='CLIPExpert')), clip), {
             'open_clip':
             (open_clip.create_model('ViT-B-16-quickgelu').visual, frames),
             'timm': (timm.create_model(
                 'vit_base_patch16_clip_quickgelu_224'), frames)
         }),
    ]
    rows = []
    for title, ours, peers in pairs:
        models = {'cast_mmaction': ours, **peers}
        steps = {
            name: _frozen_step(model, x, dtype, device)
            for name, (model, x) in models.items()
        }
        times = alternate(steps, args.rounds, device,
            clock=CLOCKS[args.clock])
        for name in steps:
            rows.append({
                'expert': title,
                'implementation': name,
                'seconds': Figure.of(times[name]),
                'ours / this': ratio(times, 'cast_mmaction', name)
            })
    report(f'frozen experts, forward, {args.dtype}, batch {args.batch}',
           rows, environment(device, args.clock),
           json_path(args.json, 'experts'))


def _frozen_step(model: nn.Module, x: Tensor, dtype: torch.dtype,
                 device: torch.device) -> Step:
    model = model.to(device).eval().requires_grad_(False)
    half = dtype != torch.float32

    def step() -> None:
        with torch.no_grad(), torch.autocast(
                device.type, dtype if half else None, enabled=half):
            model(x)

    return step


def growth(args: argparse.Namespace) -> None:
    """Cost as frames, size, width and clips grow, one at a time."""
    device = torch.device(args.device)
    costs: List[Dict[str, float]] = []
    rows = []

    def measure(**change) -> Optional[Dict[str, float]]:
        changed = argparse.Namespace(**{**vars(args), **change})
        name = describe(changed)
        try:
            cost, row = _cost(changed)
        except torch.OutOfMemoryError:
            rows.append({'model': name, 'forward s': FULL})
            return None
        costs.append(cost)
        for quantity in ('FLOP', 's', 'GB'):
            row[f'x {quantity}'] = ', '.join(
                f'{value / costs[0][key]:.2f}'
                for key, value in cost.items()
                if key.endswith(f' {quantity}'))
        rows.append(dict(model=name, **row))
        print(f'{name}: ' + ', '.join(f'{k} {v}' for k, v in row.items()),
              flush=True)
        return cost

    cost = measure()
    if cost is None:
        raise SystemExit(f'{rows[0]["model"]}: {FULL}; lower --batch')
    for change in GROWTH:
        if args.arch == 'base' or 'arch' not in change:
            measure(**change)
    # Twice the clips take at most twice the memory.
    batch = 2 * args.batch
    while (cost and batch <= (args.max_batch or batch)
           and 2 * _peak(cost) <= USABLE_MEMORY * memory_size(device) / 1e9):
        cost = measure(batch=batch)
        batch *= 2
    report('growth of cost; x: to the first', rows,
           environment(device, args.clock), json_path(args.json, 'growth'))


def _peak(cost: Dict[str, float]) -> float:
    return max(value for key, value in cost.items() if key.endswith(' GB'))


def _cost(args: argparse.Namespace) -> Tuple[Dict[str, float],
                                             Dict[str, Any]]:
    # FLOPs, seconds and peak GB of each kind of step; the same as a row.
    device = torch.device(args.device)
    dtype = getattr(torch, args.dtype)
    model = Contender(dict(type='CAST'), args, dtype)
    roof = matmul_step(dtype, device)
    steps = dict(forward=model.forward)
    if not args.no_train:
        steps['training'] = model.training
    flops = {kind: count_flops(step) for kind, step in steps.items()}
    times = alternate(
        {**steps, MATMUL: roof},
        args.rounds,
        device,
        # On a CPU counting was the warm-up: these take minutes.
        warmup=int(device.type == 'cuda'),
        clock=CLOCKS[args.clock])
    cost, row = {}, {}
    for kind, step in steps.items():
        cost[f'{kind} FLOP'] = flops[kind]
        cost[f'{kind} s'] = Figure.of(times[kind]).median
        cost[f'{kind} GB'] = model.peak(step) / 1e9
        row[f'{kind} GFLOP'] = f'{flops[kind] / 1e9:.0f}'
        row[f'{kind} s'] = Figure.of(times[kind])
        row[f'{kind} share of matmul'] = Figure.of([
            (flops[kind] / a) / (roof.flops / b)
            for a, b in zip(times[kind], times[MATMUL])
        ])
        row[f'{kind} peak GB'] = f'{cost[f"{kind} GB"]:.3g}'
    return cost, row


def hearing(args: argparse.Namespace) -> None:
    """What the audio expert and the exchanges with it cost."""
    device, dtype = torch.device(args.device), getattr(torch, args.dtype)
    experts = video_experts(args)
    experts['audio'] = dict(
        type='ASTExpert',
        arch=experts['spatial']['arch'],
        num_frames=args.sound_frames)
    depth = TINY['num_layers'] if args.arch == 'tiny' else (
        ARCHS[args.arch]['num_layers'])
    last = list(range(depth - max(depth // 4, 1), depth))
    cava, *others = (
        dict(type='BCAST', between=between, layers=layers)
        for between, layers in ((('spatial', 'audio'), None), (
            ('spatial', 'temporal'), None), (('spatial', 'audio'), last), (
                ('temporal', 'audio'), last)))
    seen = dict(experts)
    del seen['temporal']
    models = {
        'CAST':
        Contender(dict(type='CAST'), args, dtype),
        'CAVA':
        Contender(
            dict(type='CAST', experts=seen, exchanges=[cava]), args, dtype,
            'CAVAHead', args.sound_frames),
        'CA2ST':
        Contender(
            dict(
                type='CAST',
                experts=experts,
                exchanges=others,
                share_projections=True), args, dtype, 'CA2STHead',
            args.sound_frames)
    }
    for kind in ['forward'] + ['training'] * (not args.no_train):
        steps = {n: getattr(model, kind) for n, model in models.items()}
        flops = {n: _flops(models[n], steps[n]) for n in models}
        times = alternate(
            steps, args.rounds, device, clock=CLOCKS[args.clock])
        rows = [{
            'model': name,
            'seconds': Figure.of(times[name]),
            'time / CAST': ratio(times, name, 'CAST'),
            'GFLOP': f'{flops[name] / 1e9:.0f}',
            'FLOP / CAST': f'{flops[name] / flops["CAST"]:.2f}',
            'peak GB': f'{model.peak(steps[name]) / 1e9:.2f}'
        } for name, model in models.items()]
        report(
            f'{kind}: {describe(args)}, {args.sound_frames} frames of sound',
            rows, environment(device, args.clock), json_path(args.json, kind))


TABLES = dict(speed=speed, experts=experts, growth=growth, hearing=hearing)


def run(args: argparse.Namespace) -> None:
    """Measure and report."""
    TABLES[args.table](args)
