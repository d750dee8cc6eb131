"""What this machine has for CAST, and what is in the way.

``python -m cast_mmaction.doctor`` prints versions, the machine's limits,
whether video and sound can be decoded, and the host's defects with what was
done about them. It exits with 1 and the remedy if something cannot be used.

It runs where ``import cast_mmaction`` fails, and tells why: nothing but the
standard library is imported before it is looked at.
"""
import importlib
import os
import platform
import resource
import shutil
import sys
import tempfile
import traceback
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Tuple

PACKAGES = ('cast-mmaction', 'mmaction2', 'mmengine', 'mmcv', 'mmcv-lite',
            'torch', 'torchvision', 'timm', 'open_clip_torch', 'transformers',
            'av', 'decord', 'torchcodec', 'numpy', 'opencv-python',
            'opencv-contrib-python', 'opencv-contrib-python-headless')
GIB = 2**30
# Below these, loaders with several workers may fail.
LITTLE_SHARED = 2 * GIB
FEW_FILES = 512
RATE = 16000  # samples a second


def main() -> int:
    """Print the report.

    Returns:
        int: 0 if everything can be used, else 1.
    """
    print('Versions')
    _row('python', f'{platform.python_version()} on {platform.platform()}')
    for package in PACKAGES:
        _row(package, _version(package))

    print('\nMachine')
    for name, value in _machine():
        _row(name, value)

    print('\nChecks')
    problems: List[str] = []
    for name, check in CHECKS.items():
        problem = _named(check)
        _row(name, problem or 'works')
        # The import fails of what was found before, in the same words.
        if problem and not any(known in problem for known in problems):
            problems.append(problem)
    # Nothing needs it: what is wrong with it does not stand in the way.
    _row('video by torchcodec', _named(torchcodec_problem) or 'works')

    if _is_imported():
        print("\nThe host's defects")
        for state, what in _defects():
            _row(state, what)
    if problems:
        print('\nNot usable yet:')
        for problem in problems:
            print(f'- {problem}')
    return int(bool(problems))


def _row(name: str, value: object) -> None:
    # At once: what is looked at next may take the process down.
    print(f'  {name:22} {value}', flush=True)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return '-'


def _named(check: Callable[[], Optional[str]]) -> Optional[str]:
    """What a check finds; that it fails is a finding, too.

    A broken package raises whatever it likes.
    """
    try:
        return check()
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = ' '.join(str(error).split())[:300]
        return (f'{type(error).__name__}: {text} ({last.filename}, line '
                f'{last.lineno})')


def _machine() -> List[Tuple[str, object]]:
    page = os.sysconf('SC_PAGE_SIZE')
    from .workers import auto_workers, usable_cores
    rows = [('CPU cores', f"{usable_cores()}; num_workers='auto' takes "
             f'{auto_workers()} (fewer beside other training processes)'),
            ('memory',
             _space(
                 os.sysconf('SC_AVPHYS_PAGES') * page,
                 os.sysconf('SC_PHYS_PAGES') * page))]
    for name, folder in (('shared memory', '/dev/shm'), ('disk, here', '.')):
        if os.path.isdir(folder):
            usage = shutil.disk_usage(folder)
            rows.append((name, _space(usage.free, usage.total)))
            if folder == '/dev/shm' and usage.free < LITTLE_SHARED:
                rows.append(('', 'little: a worker keeps 2 batches there, 16 '
                             'x 224 x 224 x 3 bytes a clip. Start the '
                             'container with --shm-size=16g, or lower '
                             'num_workers or batch_size'))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    rows.append(('open files', f'{_limit(soft)}, can be raised to '
                 f'{_limit(hard)} (ulimit -n)'))
    if soft != resource.RLIM_INFINITY and soft < FEW_FILES:
        rows.append(('', f'few for loaders with workers: run "ulimit -n '
                     f'{FEW_FILES}" before the training'))
    return rows


def _space(free: int, total: int) -> str:
    return f'{free / GIB:.1f} GiB free of {total / GIB:.1f} GiB'


def _limit(number: int) -> str:
    return 'unlimited' if number == resource.RLIM_INFINITY else str(number)


def _defects() -> Iterator[Tuple[str, str]]:
    """What was done about the host, and what was left out of it."""
    from . import compat
    for function in compat.remedies():
        found = compat.apply()[function.__name__]
        yield ('mended' if found else 'absent',
               function.__doc__.splitlines()[0])
    for package, reason in compat.left_out.items():
        yield 'left out', f'{package}, which the host cannot use ({reason})'


def host_problem() -> Optional[str]:
    """Whether the host is there, in versions that go together.

    Returns:
        str or None: What to do, None if nothing.
    """
    from . import host
    return host.problem()


def torch_problem() -> Optional[str]:
    """Whether torch computes, on the GPU if there is one.

    Returns:
        str or None: What to do, None if nothing.
    """
    try:
        import torch
    except (ImportError, OSError) as error:
        return (f'torch cannot be imported ({error}). Run: pip install '
                '--force-reinstall torch torchvision (both from one index)')
    if torch.cuda.is_available():
        try:
            torch.ones(8, 8, device='cuda').mm(torch.ones(8, 8, device='cuda'))
        except RuntimeError as error:
            return (f'the GPU does not compute ({error}). Install a torch '
                    'built for this GPU and its driver')
        for index in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(index)
            _row(f'GPU {index}',
                 f'{torch.cuda.get_device_name(index)}, {_space(free, total)}'
                 f'; {precisions(torch.cuda.get_device_capability(index))}')
    elif Path('/proc/driver/nvidia/gpus').is_dir():
        return ('there is an NVIDIA GPU, but torch '
                f'{torch.__version__} (CUDA {torch.version.cuda}) cannot use '
                'it. Install a torch built for CUDA, or a newer driver')
    else:
        _row('GPU', 'none: training runs on the CPU, with gloo')
    return None


def precisions(capability: Tuple[int, int]) -> str:
    """What a GPU of NVIDIA computes in, and what to train in.

    Args:
        capability (tuple[int, int]): Its compute capability.
    """
    if capability >= (8, 9):
        return 'float32, tf32, float16, bfloat16, float8: train in bfloat16'
    if capability >= (8, 0):
        return 'float32, tf32, float16, bfloat16: train in bfloat16'
    if capability >= (7, 0):
        return 'float32, float16: train in float16 with a loss scale'
    return 'float32: train in it'


def torchvision_problem() -> Optional[str]:
    """Whether torchvision's operators fit torch; open_clip and timm need it.

    Returns:
        str or None: What to do, None if nothing.
    """
    try:
        import torch
        from torchvision.ops import nms
        nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except (ImportError, RuntimeError, AttributeError, NotImplementedError) \
            as error:
        return (f'torchvision does not fit torch ({error}). Run: pip install '
                '--force-reinstall torch torchvision (both from one index)')
    return None


def pyav_problem() -> Optional[str]:
    """Whether PyAV, the reader of the configs, reads every frame of a video.

    Returns:
        str or None: What to do, None if nothing.
    """
    try:
        import av
    except (ImportError, OSError) as error:
        return f'PyAV cannot be imported ({error}). Run: pip install av'

    def read(path: str) -> list:
        with av.open(path) as container:
            return [
                frame.to_ndarray(format='rgb24').mean()
                for frame in container.decode(video=0)
            ]

    return _reader_problem('PyAV', read, 'av')


def decord_problem() -> Optional[str]:
    """Whether decord, the other reader, reads every frame of a video.

    Returns:
        str or None: What to do, None if nothing.
    """
    try:
        from decord import VideoReader
    except (ImportError, OSError) as error:
        return f'decord cannot be imported ({error}). Run: pip install decord'

    def read(path: str) -> list:
        frames = VideoReader(path, num_threads=1)
        return [frame.asnumpy().mean() for frame in frames]

    return _reader_problem('decord', read, 'decord')


def torchcodec_problem() -> Optional[str]:
    """Whether torchcodec, a reader that is an option, reads every frame.

    Returns:
        str or None: What to do, None if nothing.
    """
    from . import host
    missing = host.torchcodec_problem()
    if missing:
        return f'an option; {missing}'
    from torchcodec.decoders import VideoDecoder

    def read(path: str) -> list:
        return [frame.float().mean().item() for frame in VideoDecoder(path)]

    return _reader_problem('torchcodec', read, 'torchcodec')


def _reader_problem(name: str, read: Callable[[str], list],
                    package: str) -> Optional[str]:
    """Write sixteen grey frames, ever brighter, and read them again."""
    import cv2
    import numpy as np
    written = range(0, 160, 10)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, 'probe.mp4'))
        writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*'mp4v'), 25,
                                 (64, 48))
        for value in written:
            writer.write(np.full((48, 64, 3), value, np.uint8))
        writer.release()
        if not os.path.isfile(path):
            return ('OpenCV cannot write an mp4 file. Run: pip install '
                    '--force-reinstall opencv-contrib-python')
        found = read(path)
    if len(found) != len(written) or any(
            abs(x - y) > 5 for x, y in zip(found, written)):
        return (f'{name} gives wrong frames of an mp4 file. Run: pip install '
                f'--force-reinstall {package}')
    return None


def sound_problem() -> Optional[str]:
    """Whether PyAV decodes the sound of a video (AAC).

    Returns:
        str or None: What to do, None if nothing.
    """
    try:
        import av
        import numpy as np
    except (ImportError, OSError) as error:
        return f'PyAV cannot be imported ({error}). Run: pip install av'
    pitch = 440  # Hz
    tone = np.sin(np.arange(RATE) * 2 * np.pi * pitch / RATE)
    wave = av.AudioFrame.from_ndarray(
        tone.astype(np.float32)[None], format='fltp', layout='mono')
    wave.sample_rate = RATE
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, 'probe.mp4'))
        with av.open(path, 'w') as container:
            stream = container.add_stream('aac', rate=RATE, layout='mono')
            for frame in (wave, None):
                container.mux(stream.encode(frame))
        with av.open(path) as container:
            heard = np.concatenate([
                frame.to_ndarray()[0] for frame in container.decode(audio=0)
            ])
    strongest = np.abs(np.fft.rfft(heard)).argmax() * RATE / len(heard)
    if abs(strongest - pitch) > 5:
        return ('PyAV gives wrong sound of an mp4 file. Run: pip install '
                '--force-reinstall av')
    return None


def package_problem() -> Optional[str]:
    """Whether this package can be imported.

    Returns:
        str or None: Why not, None if it can.
    """
    if not _is_imported():  # it has waited for this
        importlib.reload(sys.modules[__package__])
    return None


def _is_imported() -> bool:
    return 'from_pretrained' in vars(sys.modules[__package__])


CHECKS: Dict[str, Callable[[], Optional[str]]] = {
    'host': host_problem,
    'torch': torch_problem,
    'torchvision': torchvision_problem,
    'video by PyAV': pyav_problem,
    'video by decord': decord_problem,
    'sound by PyAV': sound_problem,
    'cast_mmaction': package_problem,
}

if __name__ == '__main__':
    sys.exit(main())
