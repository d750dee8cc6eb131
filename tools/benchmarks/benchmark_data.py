"""How fast video becomes clips: ``tools/benchmarks/benchmark.py data``."""
import argparse
import os
import random
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List

import cv2
import numpy as np
import torch
from benchmarking import (CLOCKS, Figure, alternate, environment, json_path,
                          rate, ratio, report)
from mmaction.registry import DATASETS, MODELS, TRANSFORMS
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from PIL import Image
from timm.data.auto_augment import rand_augment_transform
from torch.utils.data import DataLoader

from cast_mmaction.datasets.deferring import defer_augmentation
from cast_mmaction.datasets.planes import Conversion
from cast_mmaction.datasets.sampling import dense_test_indices
from cast_mmaction.datasets.seeding import SampleIndex
from cast_mmaction.datasets.video import READERS, usable_readers
from cast_mmaction.parcels import parcelled
from cast_mmaction.repeats import RepeatedPipeline, side_by_side

ROOT = Path(__file__).resolve().parents[2]
RECIPE = 'configs/_base_/datasets/kinetics400.py'
POLICY = 'rand-m7-n4-mstd0.5-inc1'
CPU = torch.device('cpu')
WANTED = 130  # clips/s that a data-centre GPU takes


def make_video(path: str,
               frames: int = 300,
               width: int = 340,
               height: int = 256) -> str:
    """Writes an H.264 file like those of Kinetics: 30 frames/s, a key frame
    every 250.

    A camera moves over a blurred noise, and every frame has some grain: the
    decoder finds motion and texture.
    """
    import av  # here, for machines that measure without video
    random = np.random.RandomState(0)
    scene = random.randint(0, 256, (2 * height, 2 * width, 3), dtype=np.uint8)
    scene = cv2.normalize(
        cv2.GaussianBlur(scene, (0, 0), 4), None, 0, 255, cv2.NORM_MINMAX)
    with av.open(path, 'w') as container:
        stream = container.add_stream(
            'libx264', rate=30, options=dict(g='250', preset='fast'))
        stream.width, stream.height = width, height
        stream.pix_fmt = 'yuv420p'
        for i in range(frames):
            x = int((1 + np.sin(i / 40)) / 2 * width)
            y = int((1 + np.cos(i / 55)) / 2 * height)
            image = scene[y:y + height, x:x + width]
            grain = random.randint(0, 9, (height, width, 1), dtype=np.uint8)
            image = cv2.add(image, np.repeat(grain, 3, 2))
            frame = av.VideoFrame.from_ndarray(image, 'rgb24')
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


# Files that data sets hold: width, height, encoder options.
KINDS = {
    '340 x 256, key frame every 250': (340, 256, dict(g='250')),
    '340 x 256, key frame every 30': (340, 256, dict(g='30')),
    '340 x 256, every 16, tuned for decoding':
    (340, 256, dict(g='16', bf='0', tune='fastdecode')),
    '1280 x 720, key frame every 250': (1280, 720, dict(g='250')),
    '1280 x 720, key frame every 30': (1280, 720, dict(g='30'))
}


def encoded_again(source: str, path: str, width: int, height: int,
                  options: Dict[str, str]) -> str:
    """Writes a video once more, as x264's preset 'medium' does."""
    import av
    with av.open(source) as given, av.open(path, 'w') as container:
        rate = given.streams.video[0].average_rate
        stream = container.add_stream(
            'libx264', rate=rate, options=dict(preset='medium', **options))
        stream.width, stream.height = width, height
        stream.pix_fmt = 'yuv420p'
        for number, frame in enumerate(given.decode(video=0)):
            frame = frame.reformat(width, height, 'yuv420p')
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def video_facts(path: str) -> Dict[str, Any]:
    """What the tables say about the file."""
    import av
    with av.open(path) as container:
        stream = container.streams.video[0]
        return dict(
            video=f'{stream.width}x{stream.height}, {stream.frames} frames, '
            f'{stream.codec_context.name}')


def _facts(args: argparse.Namespace, path: str) -> Dict[str, Any]:
    return {**environment(CPU, args.clock), **video_facts(path)}


def recipe(name: str, **options: str) -> List[Dict[str, Any]]:
    """A pipeline of the Kinetics recipe, with other options of VideoInit."""
    return [
        dict(step, **options) if step['type'] == 'VideoInit' else step
        for step in Config.fromfile(ROOT / RECIPE)[name]
    ]


def ways_to_read() -> Dict[str, Dict[str, str]]:
    """Options of VideoInit by name: the readers that are here."""
    ways = {name: dict(decoder=name) for name in usable_readers()}
    if 'torchcodec' in ways and torch.cuda.is_available():
        ways['torchcodec, NVDEC'] = dict(decoder='torchcodec', device='cuda')
    return ways


def one_by_one(steps: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """A pipeline whose lazy steps work at once, each on whole frames."""
    return [
        {key: value for key, value in step.items() if key != 'lazy'}
        for step in steps if step['type'] != 'FuseClip'
    ]


def deferred(steps: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """A pipeline that leaves the augmentation to a device."""
    cfg = Config(
        dict(
            augment_on_device=True,
            model=dict(data_preprocessor=dict(type='ActionDataPreprocessor')),
            train_dataloader=dict(dataset=dict(pipeline=steps))))
    defer_augmentation(cfg)
    return cfg.train_dataloader.dataset.pipeline


def host_pipeline() -> List[Dict[str, Any]]:
    """MMAction2's standard training pipeline of Kinetics recognizers."""
    return [
        dict(type='DecordInit'),
        dict(type='SampleFrames', clip_len=16, frame_interval=4, num_clips=1),
        dict(type='DecordDecode'),
        dict(type='Resize', scale=(-1, 256)),
        dict(type='RandomResizedCrop'),
        dict(type='Resize', scale=(224, 224), keep_ratio=False),
        dict(type='Flip', flip_ratio=0.5),
        dict(type='FormatShape', input_format='NCTHW'),
        dict(type='PackActionInputs')
    ]


def sample(path: str) -> Dict[str, Any]:
    """What a data set gives to its pipeline."""
    return dict(
        filename=path, label=0, start_index=0, modality='RGB')


def runner(steps: List[Dict[str, Any]],
           path: str,
           repeats: int = 1) -> Callable[[], Any]:
    """A pipeline as a function of nothing; draws differ call by call."""
    built = [TRANSFORMS.build(step) for step in steps]
    pipeline = Compose(built)
    if repeats > 1:
        pipeline = RepeatedPipeline(
            Compose(built[:3]), Compose(built[3:]), repeats)
    return lambda: pipeline(sample(path))


def reading(args: argparse.Namespace, path: str) -> None:
    """Opening and decoding: all views of a test, one training clip."""
    import decord
    length = len(READERS['pyav'](path))
    indices = dense_test_indices(length, 16, 4, 5)
    union = np.unique(indices).tolist()

    def published() -> None:
        for clip in indices:
            for _ in range(3):  # one opening for every crop
                reader = decord.VideoReader(path, num_threads=1)
                reader.get_batch(clip.tolist()).asnumpy()

    test = {
        f'frames of all views once, {name}':
        lambda reader=reader: reader(path).read(union)
        for name, reader in usable_readers().items()
    }
    for name, options in ways_to_read().items():
        steps = recipe('test_pipeline', **options)
        test[f'5 x 3 views read, {name}'] = runner(steps[:3], path)
        test[f'5 x 3 views, whole pipeline, {name}'] = runner(steps, path)
    test['MMAction2, 5 x 1 views read'] = runner([
        dict(type='DecordInit'),
        dict(
            type='SampleFrames',
            clip_len=16,
            frame_interval=4,
            num_clips=5,
            test_mode=True),
        dict(type='DecordDecode')
    ], path)
    test['published: 15 openings'] = published
    times = alternate(test, args.rounds, clock=CLOCKS[args.clock])
    report('reading a test video', [{
        'way': name,
        'ms': Figure.of([1e3 * x for x in times[name]]),
        '/ frames once, pyav': ratio(times, name, list(test)[0]),
        '/ published': ratio(times, name, 'published: 15 openings')
    } for name in test], _facts(args, path),
           json_path(args.json, 'reading-test'))

    train = {
        f'cast_mmaction, {name}': _many(
            runner(recipe('train_pipeline', **options)[:3], path), 5)
        for name, options in ways_to_read().items()
    }
    train['MMAction2'] = _many(runner(host_pipeline()[:3], path), 5)
    times = alternate(train, args.rounds, clock=CLOCKS[args.clock])
    report('reading a training clip', [{
        'way': name,
        'ms': Figure.of([1e3 / 5 * x for x in times[name]]),
        'clips/s': rate(times, name, 5),
        '/ MMAction2': ratio(times, name, 'MMAction2')
    } for name in train], _facts(args, path),
           json_path(args.json, 'reading-train'))


def _many(step: Callable[[], Any], count: int) -> Callable[[], None]:
    """Several calls in one measurement: clips lie at random places."""
    def steps() -> None:
        for number in range(count):
            # The same draws for every way and round.
            np.random.seed(number)
            random.seed(number)
            step()

    return steps


def stages(args: argparse.Namespace, path: str) -> None:
    """Where the time of a training clip goes."""
    rows = []
    for title, steps in {
            'cast_mmaction': recipe('train_pipeline'),
            'MMAction2': host_pipeline()
    }.items():
        transforms = [TRANSFORMS.build(step) for step in steps]
        clock = CLOCKS[args.clock]
        seconds: List[List[float]] = [[] for _ in steps]
        for _ in range(10 * args.rounds):
            results = sample(path)
            for times, transform in zip(seconds, transforms):
                start = clock()
                results = transform(results)
                times.append(clock() - start)
        total = sum(map(sum, seconds))
        rows += [{
            'pipeline': title,
            'stage': step['type'],
            'ms': Figure.of([1e3 * x for x in times]),
            'mean ms': f'{1e3 * np.mean(times):.2f}',
            'share': f'{sum(times) / total:.0%}'
        } for step, times in zip(steps, seconds)]
        rows.append({
            'pipeline': title,
            'stage': 'all',
            'mean ms': f'{1e3 * total / len(seconds[0]):.1f}'
        })
    report('a training clip by stage', rows, _facts(args, path),
           json_path(args.json, 'stages'))


def augmentation(args: argparse.Namespace, path: str) -> None:
    """16 frames augmented, and cut to 224 x 224."""
    frames = READERS['pyav'](path).read(list(range(0, 64, 4)))
    height, width = frames[0].shape[:2]
    clips = 100  # operations differ much: many draws

    def clip() -> Dict[str, Any]:
        return dict(
            imgs=list(frames),  # no operation changes its input
            img_shape=(height, width),
            original_shape=(height, width),
            modality='RGB')

    ours = TRANSFORMS.build(dict(type='ClipRandAugment', policy=POLICY))
    pil = rand_augment_transform(
        POLICY, dict(interpolation=Image.Resampling.BICUBIC))

    def on_pil() -> None:
        state, other = np.random.get_state(), random.getstate()
        for frame in frames:
            np.random.set_state(state)  # the same operations for all frames
            random.setstate(other)
            np.asarray(pil(Image.fromarray(frame)))

    def some(steps: List[Dict[str, Any]], *types: str) -> Compose:
        return Compose([
            TRANSFORMS.build(step) for step in steps if step['type'] in types
        ])

    cutting = ('RandomResizedCrop', 'Resize', 'Flip')
    steps = recipe('train_pipeline')
    cut = some(one_by_one(steps), *cutting)
    both = some(one_by_one(steps), 'ClipRandAugment', *cutting)
    fused = some(steps, 'ClipRandAugment', *cutting, 'FuseClip')
    ways = {
        'RandAugment, timm on PIL frames': _many(on_pil, clips),
        'RandAugment, ClipRandAugment':
        _many(lambda: ours(clip()), clips),
        'crop, resize, flip': _many(lambda: cut(clip()), clips),
        'all of it, step by step': _many(lambda: both(clip()), clips),
        'all of it, fused': _many(lambda: fused(clip()), clips)
    }
    times = alternate(ways, args.rounds, clock=CLOCKS[args.clock])
    report(f'augmenting 16 frames of {width} x {height}', [{
        'way': name,
        'ms a clip': Figure.of([1e3 / clips * x for x in times[name]]),
        '/ PIL': ratio(times, name, list(ways)[0])
    } for name in ways], environment(CPU, args.clock),
           json_path(args.json, 'augmentation'))


def feeding(args: argparse.Namespace, path: str) -> None:
    """Clips a second of one core, by the kind of the files."""
    steps, rows = recipe('train_pipeline'), []
    given = Path(path)
    with tempfile.TemporaryDirectory() as folder:
        if given.is_dir():
            kinds = {given.name: sorted(map(str, given.glob('*.mp4')))}
        else:
            kinds = {'as given': [path]}
            for number, (kind, form) in enumerate(KINDS.items()):
                kinds[kind] = [
                    encoded_again(path, f'{folder}/{number}.mp4', *form)
                ]
        for kind, files in kinds.items():
            rows.append(dict(file=kind, **_fed(args, steps, files)))
    report('feeding a GPU', rows, environment(CPU, args.clock),
           json_path(args.json, 'feeding'))


def _fed(args: argparse.Namespace, steps: List[Dict[str, Any]],
         files: List[str]) -> Dict[str, Any]:
    """What a clip of some files costs, packed for the way to the training."""
    once = -(-8 // len(files))  # clips of a file, at least 8 of all
    count = once * len(files)

    def way(steps: List[Dict[str, Any]], repeats: int = 1,
            packed: bool = True) -> Callable[[], None]:
        steps_of = [runner(steps, file, repeats) for file in files]

        def work() -> None:
            clips = [step() for step in steps_of]
            if packed:
                parcelled(partial(side_by_side, pseudo_collate), clips)

        return _many(work, once)

    ways = {
        'read': way(steps[:3], packed=False),
        'step by step': way(one_by_one(steps)),
        'recipe': way(steps),
        'two clips': way(steps, 2),
        'deferred': way(deferred(steps))
    }
    times = alternate(ways, args.rounds, clock=CLOCKS[args.clock])
    clips = rate(times, 'recipe', count)
    return {
        'ms a clip': Figure.of([1e3 / count * x for x in times['recipe']]),
        'reading': ratio(times, 'read', 'recipe'),
        '/ step by step': ratio(times, 'recipe', 'step by step'),
        'clips/s a core': clips,
        'two of a video': rate(times, 'two clips', 2 * count),
        'time of the two / one': ratio(times, 'two clips', 'recipe'),
        'augmented on the device': rate(times, 'deferred', count),
        'time of that / recipe': ratio(times, 'deferred', 'recipe'),
        f'cores for {WANTED} clips/s': f'{WANTED / clips.median:.1f}'
    }


def device(args: argparse.Namespace, path: str) -> None:
    """What a batch takes the data preprocessor: sent and normalised, and
    augmented before that."""
    place = torch.device(args.device)
    rng = np.random.RandomState(0)
    height, width = args.frame_size
    frames = rng.randint(0, 256, (16, height, width, 3), dtype=np.uint8)
    rgb = dict(imgs=list(frames))
    planes = dict(  # as ``VideoDecode(planes=True)`` gives them
        imgs=frames[..., 0].repeat(3, axis=1)[:, ::2],
        conversion=Conversion.by(False, .299, .114))
    clip = dict(
        img_shape=(height, width),
        original_shape=(height, width),
        modality='RGB',
        label=0,
        num_clips=1,
        clip_len=16)
    steps, batches = recipe('train_pipeline'), {}
    for name, (ending, read) in {
            'worker': (steps, rgb),
            'device, sent as RGB': (deferred(steps), rgb),
            'device, sent as decoded': (deferred(steps), planes)
    }.items():
        np.random.seed(0), random.seed(0)
        pipeline = Compose([TRANSFORMS.build(step) for step in ending[3:]])
        samples = [pipeline(dict(clip, **read)) for _ in range(args.batch)]
        for sample in samples if place.type == 'cuda' else ():
            sample['inputs'] = sample['inputs'].contiguous().pin_memory()
        batches[name] = pseudo_collate(samples)
    model = MODELS.build(
        dict(
            type='AugmentingActionDataPreprocessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            format_shape='NCTHW')).to(place)
    ways = {
        f'augmented by the {name}': partial(model, batch, training=True)
        for name, batch in batches.items()
    }
    times = alternate(ways, args.rounds, place, clock=CLOCKS[args.clock])
    report(
        f'{args.batch} clips of 16 x {width} x {height} in the preprocessor',
        [{
            'way': name,
            'ms a batch': Figure.of([1e3 * x for x in times[name]]),
            'ms a clip': Figure.of(
                [1e3 / args.batch * x for x in times[name]]),
            'MB sent': f'{sum(x.numel() for x in batch["inputs"]) / 1e6:.1f}'
        } for name, batch in zip(ways, batches.values())],
        environment(place, args.clock), json_path(args.json, 'device'))


def _data_set(path: str, count: int, folder: str) -> torch.utils.data.Dataset:
    listed = Path(folder) / 'list.txt'
    listed.write_text(f'{path} 0\n' * count)
    return DATASETS.build(
        dict(
            type='VideoListDataset',
            ann_file=str(listed),
            pipeline=recipe('train_pipeline')))


class _Order:
    """Indices as the sampler of a training gives them out."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __iter__(self):
        return (SampleIndex(i, 0, 0) for i in range(self.count))


def loader(args: argparse.Namespace, path: str) -> None:
    """Clips per second of a loader, by its settings."""
    count = 16 * args.rounds
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        data = _data_set(path, count, folder)
        for workers in range(args.workers + 1):
            for prefetch in (2, 4) if workers else (None, ):
                batches = DataLoader(
                    data,
                    batch_size=2,
                    sampler=_Order(count),
                    num_workers=workers,
                    prefetch_factor=prefetch,
                    persistent_workers=workers > 0,
                    collate_fn=pseudo_collate)
                seconds = []
                for _ in range(2):  # the second finds its workers at work
                    start = time.perf_counter()
                    for _ in batches:
                        pass
                    seconds.append(time.perf_counter() - start)
                rows.append({
                    'workers': workers,
                    'prefetch': prefetch or '',
                    'clips/s, first epoch': f'{count / seconds[0]:.1f}',
                    'clips/s': f'{count / seconds[1]:.1f}',
                    'clips/s per process':
                    f'{count / seconds[1] / max(workers, 1):.1f}'
                })
    report('loader, training pipeline', rows, _facts(args, path),
           json_path(args.json, 'loader'))


def memory(args: argparse.Namespace, path: str) -> None:
    """Resident memory while a loader reads clip after clip."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        short = make_video(os.path.join(folder, 'short.mp4'), 32, 128, 96)
        data = _data_set(short, args.clips, folder)
        batches = DataLoader(
            data,
            batch_size=8,
            sampler=_Order(args.clips),
            collate_fn=pseudo_collate)
        mark = max(len(batches) // 10, 1)
        for number, _ in enumerate(batches, 1):
            if number in (1, len(batches)) or number % mark == 0:
                rows.append({
                    'clips': min(8 * number, args.clips),
                    'resident MB': f'{_resident() / 1e6:.0f}',
                    'open files': len(os.listdir('/proc/self/fd'))
                })
    report('memory of a loader', rows, environment(CPU, args.clock),
           json_path(args.json, 'memory'))


def _resident() -> int:
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE')


TABLES = dict(
    reading=reading,
    feeding=feeding,
    device=device,
    augmentation=augmentation,
    stages=stages,
    loader=loader,
    memory=memory)


def run(args: argparse.Namespace) -> None:
    """Measure and report."""
    cv2.setNumThreads(0)  # as in the loader of a training
    with tempfile.TemporaryDirectory() as folder:
        path = args.video
        if path is None and args.table != 'device':  # which reads none
            path = make_video(os.path.join(folder, 'video.mp4'))
        for table in [args.table] if args.table else TABLES:
            TABLES[table](args, path)
