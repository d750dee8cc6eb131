"""ONNX models with smaller numbers."""
import tempfile
from pathlib import Path
from typing import Iterator, List, Optional

import numpy as np

from .description import NotExported

# What each format can hold, the first being the default.
PRECISIONS = {
    '.onnx': ('float32', 'float16', 'int8', 'int8-static'),
    '.pt2': ('float32', 'float16', 'bfloat16'),
}
# Matrix products are most of a transformer; its convolutions are one each.
QUANTISED = ['MatMul', 'Gemm']


def check_precision(suffix: str, precision: str) -> None:
    """Refuse what a format does not hold.

    Raises:
        NotExported: Naming what it does.
    """
    if suffix not in PRECISIONS:
        raise NotExported('a file to write ends in .onnx or .pt2, not in '
                          f'{suffix!r}')
    if precision not in PRECISIONS[suffix]:
        raise NotExported(f'{precision!r} is no precision of {suffix} files: '
                          f'choose {", ".join(PRECISIONS[suffix])}')


def converted(proto, precision: str, batches: List[np.ndarray]):
    """A model of float32 in another precision.

    Args:
        proto: The ``onnx.ModelProto``.
        precision: See ``PRECISIONS``.
        batches: Clips to see the range of activations on ('int8-static').

    Returns:
        The ``onnx.ModelProto``; inputs and outputs stay float32.
    """
    if precision == 'float32':
        return proto
    if precision == 'float16':
        from onnxruntime.transformers.float16 import convert_float_to_float16
        return convert_float_to_float16(proto, keep_io_types=True)
    with tempfile.TemporaryDirectory() as folder:
        return _quantise(proto, Path(folder),
                         batches if precision == 'int8-static' else None)


def _quantise(proto, folder: Path, batches: Optional[List[np.ndarray]]):
    """Weights, and of each product the activations, in 8 bits; by the ranges
    in ``batches``, else by those that are met in use."""
    import onnx
    from onnxruntime import quantization
    source, target = folder / 'source.onnx', folder / 'target.onnx'
    # The quantiser transposes weights, and stumbles over their old shapes.
    graph = proto.graph
    weights = {weight.name for weight in graph.initializer}
    shapes = [one for one in graph.value_info if one.name not in weights]
    del graph.value_info[:]
    graph.value_info.extend(shapes)
    source.write_bytes(proto.SerializeToString())
    options = dict(op_types_to_quantize=QUANTISED, per_channel=True)
    if batches is None:
        quantization.quantize_dynamic(source, target, **options)
    else:
        quantization.quantize_static(source, target, _Batches(batches),
                                     **options)
    return onnx.load(target)


class _Batches:
    """What the quantiser reads to see ranges."""

    def __init__(self, batches: List[np.ndarray]) -> None:
        self._rest: Iterator[np.ndarray] = iter(batches)

    def get_next(self) -> Optional[dict]:
        """The next input, None after the last."""
        clips = next(self._rest, None)
        return None if clips is None else dict(clips=clips)
