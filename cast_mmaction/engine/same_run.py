"""Whether all processes were started for the same run.

Machines that share nothing have configs, lists and packages of their own.
Where these differ, processes would wait for each other for ever, or learn
something that no config says.
"""
import hashlib
from pathlib import Path
from typing import Any, Dict, Iterator, Tuple

import mmaction
import mmengine
import torch
from mmaction.registry import HOOKS
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner.base_loop import BaseLoop

from ..process_group import require_equal
from ..version import __version__

# Where a machine keeps things, and how it loads them. Only whether there is
# something is compared.
OF_A_MACHINE = {
    'ann_file', 'checkpoint', 'collect_dir', 'data_prefix', 'data_root',
    'experiment_name', 'filename', 'load_from', 'local_rank', 'num_workers',
    'out_dir', 'out_file_path', 'persistent_workers', 'pin_memory',
    'prefetch_factor', 'pretrained', 'save_dir', 'work_dir'
}
# These do not change what is computed.
OF_THE_SCREEN = {'keep_every', 'log_level', 'vis_backends', 'visualizer'}


@HOOKS.register_module()
class SameRunHook(Hook):
    """Compares the lists of samples of all processes before a run starts.

    The configs and versions have been compared before the model was made.

    Raises:
        ValueError: Names both sides.
    """

    priority = 'VERY_HIGH'  # before anything else that all do together

    def before_run(self, runner) -> None:
        """Compare the data sets of the loops that will run."""
        found = {}
        for split in ('train', 'val', 'test'):
            loop = getattr(runner, f'_{split}_loop')
            if isinstance(loop, BaseLoop):
                found[f'the list of {split}_dataloader'] = describe_list(
                    loop.dataloader.dataset)
        require_equal(found, 'Copy the lists of one machine to the others')


def compare_configs(cfg: Config) -> None:
    """Compare config and versions with those of the first process.

    Raises:
        ValueError: On all processes. Names both sides.
    """
    require_equal({
        **versions(),
        **flatten(dict(cfg.items()))
    }, 'Start all of them with the same config, options and versions')


def versions() -> Dict[str, str]:
    """Of the packages that decide what is computed."""
    return {
        'the version of cast_mmaction': __version__,
        'the version of torch': torch.__version__.partition('+')[0],
        'the version of mmaction2': mmaction.__version__,
        'the version of mmengine': mmengine.__version__,
    }


def flatten(cfg: dict) -> Dict[str, str]:
    """A config as ``{'optim_wrapper.optimizer.lr': '0.01', ...}``.

    What machines may have of their own is reduced to whether it is there;
    what only concerns the screen is left out.
    """
    return dict(_entries('', cfg))


def describe_list(dataset: Any) -> str:
    """Number of samples, and a digest of the files that list them."""
    digest, names = hashlib.sha256(), []
    for path in _list_files(dataset):
        names.append(path.name)
        with open(path, 'rb') as file:
            for block in iter(lambda: file.read(2**20), b''):
                digest.update(block)
    length = f'{len(dataset)} samples' if hasattr(
        dataset, '__len__') else 'samples without a number'
    if not names:
        return length
    return f'{length} ({", ".join(names)}, sha256 {digest.hexdigest()[:8]})'


def _list_files(dataset: Any) -> Iterator[Path]:
    """The local files that a data set, or those it wraps, was made from."""
    inside = getattr(dataset, 'datasets', [getattr(dataset, 'dataset', None)])
    for part in inside:
        if part is not None:
            yield from _list_files(part)
    name = getattr(dataset, 'ann_file', None)
    if isinstance(name, str) and Path(name).is_file():
        yield Path(name)


def _entries(place: str, value: Any) -> Iterator[Tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key in OF_THE_SCREEN:
                continue
            if key == 'data_prefix' or key in OF_A_MACHINE and not isinstance(
                    item, (dict, list)):
                item = 'nothing' if item is None else 'something'
            yield from _entries(f'{place}.{key}' if place else str(key), item)
    elif isinstance(value, (list, tuple)):
        yield f'the length of {place}', str(len(value))
        for i, item in enumerate(value):
            yield from _entries(f'{place}[{i}]', item)
    elif value is None or isinstance(value, (bool, int, float, str)):
        yield place, repr(value)
    else:  # a class, a function, something that is built already
        named = value if hasattr(value, '__qualname__') else type(value)
        yield place, f'{named.__module__}.{named.__qualname__}'
