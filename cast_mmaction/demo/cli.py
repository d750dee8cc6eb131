"""The models and videos of a page, and its server: ``tools/demo_app.py``."""
import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from torch import nn

from ..datasets.annotations import VIDEO_SUFFIXES
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


def load_models(sources: Sequence[str],
                device: Optional[str] = None) -> Dict[str, nn.Module]:
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
