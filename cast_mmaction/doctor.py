"""What this machine has for CAST, and what is in the way.

``python -m cast_mmaction.doctor`` prints versions, the host's defects and
what was done about them, GPUs, decoder and free memory. It exits with 1 and
the remedy if something cannot be used.
"""
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path
from typing import List, Optional

import cv2
import numpy as np
import torch

from . import compat, host

PACKAGES = ('cast-mmaction', 'mmaction2', 'mmengine', 'mmcv', 'mmcv-lite',
            'torch', 'torchvision', 'timm', 'open_clip_torch', 'decord',
            'numpy', 'opencv-python', 'opencv-contrib-python')
GIB = 2**30


def main() -> int:
    """Print the report.

    Returns:
        int: 0 if everything can be used, else 1.
    """
    print('Versions')
    _row('python', f'{platform.python_version()} on {platform.platform()}')
    for package in PACKAGES:
        _row(package, host.installed(package) or '-')

    print("\nThe host's defects")
    for function in compat.remedies():
        found = compat.apply()[function.__name__]
        _row('mended' if found else 'absent', function.__doc__.splitlines()[0])

    print('\nMachine')
    for name, value in _machine():
        _row(name, value)

    print('\nChecks')
    problems = []
    for name, check in (('host', host.problem),
                        ('torchvision', torchvision_problem),
                        ('decoder', decoder_problem), ('torch', gpu_problem)):
        problem = check()
        _row(name, problem or 'works')
        problems += [problem] if problem else []
    if problems:
        print('\nNot usable yet:')
        for problem in problems:
            print(f'- {problem}')
    return int(bool(problems))


def _row(name: str, value: str) -> None:
    print(f'  {name:22} {value}')


def _machine() -> List[tuple]:
    rows = [('CPU cores', len(os.sched_getaffinity(0)))]
    available = os.sysconf('SC_AVPHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    total = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    rows.append(('memory',
                 f'{available / GIB:.1f} GiB free of {total / GIB:.1f} GiB'))
    for name, folder in (('shared memory', '/dev/shm'), ('disk, here', '.')):
        if os.path.isdir(folder):
            space = shutil.disk_usage(folder)
            rows.append((name, f'{space.free / GIB:.1f} GiB free of '
                         f'{space.total / GIB:.1f} GiB'))
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        rows.append((f'GPU {index}',
                     f'{torch.cuda.get_device_name(index)}, '
                     f'{free / GIB:.1f} GiB free of {total / GIB:.1f} GiB'))
    if not torch.cuda.device_count():
        rows.append(('GPU', 'none: training runs on the CPU, with gloo'))
    return rows


def torchvision_problem() -> Optional[str]:
    """Whether torchvision's operators fit torch; open_clip and timm need it.

    Returns:
        str or None: What to do, None if nothing.
    """
    try:
        from torchvision.ops import nms
        nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except (ImportError, RuntimeError, AttributeError, NotImplementedError) \
            as error:
        return (f'torchvision does not fit torch ({error}). Run: pip install '
                '--force-reinstall torch torchvision (both from one index)')
    return None


def decoder_problem() -> Optional[str]:
    """Whether a video can be written and read again, frame by frame.

    Returns:
        str or None: What to do, None if nothing.
    """
    try:
        from decord import VideoReader
    except (ImportError, OSError) as error:
        return f'decord cannot be imported ({error}). Run: pip install decord'
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, 'probe.mp4'))
        writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*'mp4v'), 25,
                                 (64, 48))
        for value in range(0, 160, 10):
            writer.write(np.full((48, 64, 3), value, np.uint8))
        writer.release()
        if not os.path.isfile(path):
            return ('OpenCV cannot write an mp4 file. Run: pip install '
                    '--force-reinstall opencv-contrib-python')
        frames = VideoReader(path, num_threads=1).get_batch(range(16)).asnumpy()
    found = frames.mean(axis=(1, 2, 3))
    if np.abs(found - np.arange(0, 160, 10)).max() > 5:
        return ('decord gives wrong frames of an mp4 file. Run: pip install '
                '--force-reinstall decord')
    return None


def gpu_problem() -> Optional[str]:
    """Whether there is a GPU that torch cannot use.

    Returns:
        str or None: What to do, None if nothing.
    """
    if torch.cuda.is_available():
        try:
            torch.ones(8, 8, device='cuda').mm(torch.ones(8, 8, device='cuda'))
        except RuntimeError as error:
            return (f'the GPU does not compute ({error}). Install a torch '
                    'built for this GPU and its driver')
    elif Path('/proc/driver/nvidia/gpus').is_dir():
        return ('there is an NVIDIA GPU, but torch '
                f'{torch.__version__} (CUDA {torch.version.cuda}) cannot use '
                'it. Install a torch built for CUDA, or a newer driver')
    return None


if __name__ == '__main__':
    sys.exit(main())
