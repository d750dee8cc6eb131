"""Train the demo with the recipes' augmentation, fused and step by step.

    tools/evidence/run_fused.py work_dirs/fused --seeds 0 1 2

What `FuseClip` does in one step is done on whole frames, one after the other,
in the second row; the draws are the same. Prints top-1 of the test clips,
mean and standard deviation over the seeds. Data and experts are those of
tools/quickstart.sh. What is done is skipped, what broke off goes on.
"""
import argparse
import os
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence

if TYPE_CHECKING:  # --help does not wait for what takes seconds
    from table_rows import Run

TASKS = ('verb', 'noun', 'action')
Steps = List[Dict[str, Any]]


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, help='where results go')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action='extend',
        default=[],
        help='as in tools/train.py, for every training')
    args = parser.parse_args(argv)
    from table_rows import Run
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    found: Dict[str, Dict[int, Dict[str, float]]] = {}
    for seed in args.seeds:
        for row, pipeline in pipelines().items():
            run = Run(row, None, args.folder / row / f'seed{seed}', seed,
                      tuple(args.cfg_options))
            found.setdefault(row, {})[seed] = execute(run, pipeline)
            print(f'{run.folder}: {found[row][seed]}', flush=True)
    print(f'\n| augmentation | {" | ".join(TASKS)} |\n|---|---|---|---|')
    for row, runs in found.items():
        cells = [spread([x[task] for x in runs.values()]) for task in TASKS]
        print(f'| {row} | {" | ".join(cells)} |')
    cells = [spread([found['fused'][seed][task] - found['steps'][seed][task]
                     for seed in args.seeds]) for task in TASKS]
    print(f'| fused - steps, by seed | {" | ".join(cells)} |')


def pipelines() -> Dict[str, Steps]:
    """The demo's training pipeline with the recipe's augmentation, by row."""
    from mmengine.config import Config
    from table_rows import DEMO, ROOT
    recipe = Config.fromfile(ROOT / 'configs/_base_/datasets/ek100.py')
    demo = Config.fromfile(DEMO)
    steps = demo.to_dict()['pipeline']
    side = demo.test_pipeline[-3].crop_size
    fused = [
        dict(step, scale=(side, side)) if step['type'] == 'Resize' else step
        for step in recipe.to_dict()['train_pipeline'][3:-2]
    ]
    single = [{key: value for key, value in step.items() if key != 'lazy'}
              for step in fused if step['type'] != 'FuseClip']
    return {
        row: [*steps[:3], *augmentation, *steps[3:]]
        for row, augmentation in (('fused', fused), ('steps', single))
    }


def execute(run: 'Run', pipeline: Steps) -> Dict[str, float]:
    """Trains and tests, unless that is done; gives back the figures."""
    from cast_mmaction.evaluation.balance import newest_log
    from mmengine.config import Config
    from table_rows import DEMO, check_settings, test, train
    run.folder.mkdir(parents=True, exist_ok=True)
    config = run.folder / 'augmented.py'
    config.write_text(
        f'_base_ = {str(DEMO)!r}\n'
        f'train_dataloader = dict(dataset=dict(pipeline={pipeline!r}))\n')
    check_settings(run, Config.fromfile(config))
    done = run.folder / 'done'
    if not done.exists():
        train(run, 1, config)
        test(run, 1, config)
        done.touch()
    logged = newest_log(run.folder / 'test')
    return {task: round(logged[f'all/{task}_top1'], 2) for task in TASKS}


def spread(values: List[float]) -> str:
    """Mean and standard deviation; of one value, that."""
    text = f'{statistics.mean(values):.1f}'
    if len(values) > 1:
        text += f' ± {statistics.stdev(values):.1f}'
    return text


if __name__ == '__main__':
    main()
