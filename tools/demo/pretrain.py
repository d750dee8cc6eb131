"""Pre-train one of the experts of the demo.

    python tools/demo/pretrain.py spatial work_dirs/demo/spatial.pth
    python tools/demo/pretrain.py temporal work_dirs/demo/temporal.pth
    python tools/demo/pretrain.py audio work_dirs/demo/audio.pth

The spatial expert learns to name single shapes and walls on stills, the
temporal one in which of twelve ways a random blob moves, the audio one which
of four sounds is heard: none sees or hears a clip of the verb-noun set. Beside
the label of the whole, every token is asked what is there, or whether there is
nothing; without it, the temporal expert stays at chance for very long.

Every batch is drawn afresh from (seed, step). An interrupted run goes on.
"""
import argparse
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('expert', choices=('spatial', 'temporal', 'audio'))
    parser.add_argument('out', type=Path, help='the file to write')
    parser.add_argument(
        '--config', help='of a model that uses the expert; default the demo')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--steps', type=int)
    args = parser.parse_args()
    if args.out.exists():
        print(f'{args.expert} expert: {args.out} is there already')
        return
    from expert_training import TASKS, train
    from mmengine.config import Config
    args.out.parent.mkdir(parents=True, exist_ok=True)
    task = TASKS[args.expert]
    train(args.expert, args.out, Config.fromfile(args.config or task.config),
          args.seed, args.steps or task.steps)


if __name__ == '__main__':
    main()
