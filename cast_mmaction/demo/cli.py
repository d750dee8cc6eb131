"""A page that shows what a model sees in a video: ``tools/demo_app.py``.

    tools/demo_app.py                            # the quickstart's models
    tools/demo_app.py --model CAST=cast-b-k400.safetensors \\
        --model spatial=clip-k400.safetensors --examples my_videos
    tools/demo_app.py --model work_dirs/cast_k400 --port 7861

It listens on this machine alone. Files that are dropped on it are read in a
process of their own, with limits of time and memory, and deleted.
"""
import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Dict, List, Optional, Sequence

import torch
from torch import nn

from ..checkpoints import CheckpointError
from ..datasets.annotations import VIDEO_SUFFIXES
from ..datasets.video import UnreadableVideo
from ..prediction.cli import find_videos, open_model
from .looking import Models
from .reading import Limits, prepare

# What tools/quickstart.sh leaves behind.
QUICKSTART = dict(
    CAST='work_dirs/cast_demo',
    spatial='work_dirs/spatial_demo',
    temporal='work_dirs/temporal_demo')
QUICKSTART_CLIPS = 'data/demo/clips'
EXAMPLES = 6
LOOPBACK = ('127.0.0.1', 'localhost', '::1')


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """The arguments of the command line."""
    default = Limits()
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--model', action='append', metavar='[NAME=]MODEL', default=[],
        help='a published file, a hub id, or the work dir of a training; may '
        "be given more than once (default: the quickstart's)")
    parser.add_argument(
        '--examples', help='a folder or list of videos to offer (default: '
        "clips of the quickstart's test set); the first "
        f'{EXAMPLES} are taken')
    parser.add_argument(
        '--device', default='cuda' if torch.cuda.is_available() else 'cpu',
        help='default: the GPU, if there is one')
    parser.add_argument('--host', default='127.0.0.1', help='where to listen '
                        '(default: 127.0.0.1, this machine alone)')
    parser.add_argument('--port', type=int, help='default: the first free '
                        'one from 7860 on')
    parser.add_argument('--window', type=float, default=2., help='seconds of '
                        "the timeline's windows (default: 2)")
    parser.add_argument('--max-megabytes', type=float,
                        default=default.megabytes, help='of a file (default: '
                        f'{default.megabytes:g})')
    parser.add_argument('--max-length', type=float, default=default.length,
                        help='seconds of a video (default: '
                        f'{default.length:g})')
    parser.add_argument('--patience', type=float, default=default.patience,
                        help='seconds that reading a video may take '
                        f'(default: {default.patience:g})')
    args = parser.parse_args(argv)
    for name in ('window', 'max_megabytes', 'max_length', 'patience'):
        if getattr(args, name) <= 0:
            parser.error(f'--{name.replace("_", "-")} must be above 0')
    return args


def load_models(sources: Sequence[str], device: str) -> Dict[str, nn.Module]:
    """The models of a page by name.

    Args:
        sources: ``[NAME=]MODEL`` each; none for the quickstart's.
        device: Where to put them.

    Raises:
        ValueError: If there is none, or a name twice.
        CheckpointError: If one cannot be used.
    """
    wanted: Dict[str, str] = {}
    for source in sources:
        name, _, path = source.rpartition('=')
        name = name or Path(path).stem
        if name in wanted:
            raise ValueError(f'--model {source}: two models are called '
                             f'{name!r}; give another as NAME=MODEL')
        wanted[name] = path
    if not sources:
        wanted = {name: path for name, path in QUICKSTART.items()
                  if Path(path).is_dir()}
    if not wanted:
        raise ValueError('which model? Give --model FILE_OR_ID, or run '
                         '`bash tools/quickstart.sh`, whose models need none')
    return {name: open_model(path, device) for name, path in wanted.items()}


def find_examples(source: Optional[str]) -> List[str]:
    """Some videos to offer."""
    if source is None:
        if not Path(QUICKSTART_CLIPS).is_dir():
            return []
        source = QUICKSTART_CLIPS
        found = sorted(str(path) for path in Path(source).glob('test_*')
                       if path.suffix in VIDEO_SUFFIXES)
    else:
        found = find_videos(source)
    return found[:EXAMPLES]


def run(args: argparse.Namespace) -> None:
    """Serve until interrupted."""
    # Before gradio is imported, which reads them.
    os.environ.update(GRADIO_ANALYTICS_ENABLED='False',
                      HF_HUB_DISABLE_TELEMETRY='1')
    try:
        import gradio  # noqa: F401
    except ImportError:
        raise ValueError('the page needs gradio: pip install '
                         "'cast-mmaction[demo]'") from None
    from .page import Page, Settings
    prepare()
    settings = Settings(
        args.window,
        Limits(args.max_megabytes, args.max_length, patience=args.patience),
        find_examples(args.examples))
    models = Models(load_models(args.model, args.device))
    if args.host not in LOOPBACK:
        print(f'note: other machines can reach {args.host}, and nothing asks '
              'for a password')
    # So that the folder goes when a service manager ends us, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with tempfile.TemporaryDirectory(prefix='cast-demo-') as uploads:
        os.environ['GRADIO_TEMP_DIR'] = uploads
        page = Page(models, settings)
        _, url, _ = page.launch(args.host, args.port, prevent_thread_lock=True)
        print(f'{url}  (Ctrl-C ends it)', flush=True)
        page.blocks.block_thread()


def main(argv: Optional[Sequence[str]] = None) -> None:
    """The command."""
    args = parse_args(argv)
    try:
        run(args)
    except (CheckpointError, UnreadableVideo, ValueError, OSError) as error:
        sys.exit(f'error: {error}')
