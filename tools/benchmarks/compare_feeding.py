"""Does a core feed more clips than in another version of this project?

    git worktree add ../before COMMIT
    python tools/benchmarks/compare_feeding.py ../before VIDEO FOLDER ...

A process for each checkout, and two for this one with augment_on_device, has a
loader with one worker and the training pipeline of Kinetics-400. They take
turns, with the same draws; the last makes two clips of a video (num_repeats=2)
of half the videos. Counted are the CPU's seconds of the worker, for
all that it does from the file to the batch it hands over, so that others on
the machine lengthen a run but hardly a figure; ratios are taken round by
round. A folder is one line of the table: all its mp4 files.
"""
import argparse
import json
import sys
import tempfile
import time
from multiprocessing import active_children
from pathlib import Path
from typing import Dict, List

from contender import CHILD, Contender, child

ROOT = Path(__file__).resolve().parents[2]
WAYS = ('before', 'now', 'augment_on_device', 'and two of a video')
BATCH = 8  # clips


def serve(places: List[List[str]], clips: int, defer: bool,
          repeats: int) -> None:
    """Reads all clips of a place whenever a line of stdin asks for it."""
    answer = child()
    from mmengine.config import Config
    from mmengine.registry import init_default_scope
    from mmengine.runner import Runner

    import cast_mmaction
    checkout = Path(cast_mmaction.__file__).parents[1]
    init_default_scope('mmaction')
    cfg = Config.fromfile(
        str(checkout / 'configs/_base_/datasets/kinetics400.py'))
    if defer:
        from cast_mmaction.datasets.deferring import defer_augmentation
        cfg.merge_from_dict(
            dict(
                augment_on_device=True,
                model=dict(
                    data_preprocessor=dict(type='ActionDataPreprocessor'))))
        defer_augmentation(cfg)
    data = dict(type='VideoListDataset')
    if repeats > 1:  # which the other checkout may not know
        data.update(num_repeats=repeats)
    videos, loaders = clips // repeats, []
    with tempfile.TemporaryDirectory() as folder:
        for files in places:
            listed = Path(folder) / f'{len(loaders)}.txt'
            lines = [f'{file} 0\n' for file in files]
            listed.write_text(''.join(
                (lines * (videos // len(lines) + 1))[:videos]))
            loader = cfg.train_dataloader.copy()
            loader.update(
                batch_size=BATCH // repeats,
                num_workers=1,
                pin_memory=False,
                sampler=dict(type='EpochSampler', shuffle=False),
                dataset=dict(
                    data,
                    ann_file=str(listed),
                    pipeline=cfg.train_dataloader.dataset.pipeline))
            loaders.append(Runner.build_dataloader(loader, seed=0))
        answer(cast_mmaction.__file__)
        for line in sys.stdin:
            place, epoch = map(int, line.split())
            loaders[place].sampler.set_epoch(epoch)
            began = _of_workers()
            for _ in loaders[place]:
                pass
            answer(_of_workers() - began)


def _of_workers() -> float:
    """Seconds of CPU of all children; see clock_getcpuclockid(3)."""
    return sum(
        time.clock_gettime((~process.pid << 3) | 2)
        for process in active_children())


def main() -> None:
    """Compare and print."""
    if sys.argv[1:2] == [CHILD]:
        serve(**json.loads(sys.argv[2]))
        return
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('other', type=Path, help='the other checkout')
    parser.add_argument('videos', type=Path, nargs='+')
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--clips', type=int, default=32, help='of a round')
    args = parser.parse_args()
    from benchmarking import rate, ratio, table
    places = [
        sorted(map(str, place.resolve().glob('*.mp4')))
        if place.is_dir() else [str(place.resolve())] for place in args.videos
    ]
    contenders = [
        Contender(
            checkout,
            __file__,
            places=places,
            clips=args.clips,
            defer=defer,
            repeats=repeats) for checkout, defer, repeats in (
                (args.other.resolve(), False, 1), (ROOT, False, 1),
                (ROOT, True, 1), (ROOT, True, 2))
    ]
    rows = []
    for place, video in enumerate(args.videos):
        times: Dict[str, List[float]] = {way: [] for way in WAYS}
        for way in range(len(WAYS)):
            contenders[way].ask(f'{place} 0')  # starts the worker
        for epoch in range(args.rounds):
            turns = range(len(WAYS))
            for way in turns if epoch % 2 else reversed(turns):
                times[WAYS[way]].append(
                    contenders[way].ask(f'{place} {epoch}'))
        rows.append({
            'video': video.name,
            **{f'clips/s, {way}': rate(times, way, args.clips)
               for way in WAYS},
            # Time of the other as a share of this one's: clips / clips.
            **{f'{way} / before': ratio(times, 'before', way)
               for way in WAYS[1:]}
        })
        print(f'{video.name}: done', file=sys.stderr, flush=True)
    print(table(rows))
    for contender in contenders:
        contender.close()


if __name__ == '__main__':
    main()
