"""From a model to a file that is compared with it: ``tools/export.py``."""
import argparse
import copy
from pathlib import Path
from typing import List, Sequence

import numpy as np
import torch
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from torch import nn

from ..atomic_write import atomic_write, check_writable
from ..prediction.cli import find_videos, load_model
from ..prediction.predictor import model_input_pipeline, request_for
from .agreement import Agreement, check, compare, in_batches
from .description import (NotExported, check_exportable, describe, statistics,
                          tasks_of)
from .program import (Scorer, read_onnx, read_pt2, to_onnx, trace, write_onnx,
                      write_pt2)
from .smaller import check_precision, converted


def read_views(model: nn.Module, videos: Sequence[str]) -> np.ndarray:
    """The views of videos as the test pipeline makes them.

    Returns:
        ``(N, 3, frames, H, W)``, float32 from 0 to 255.

    Raises:
        UnreadableVideo: If one cannot be read.
        NotExported: If they are of different shapes, or no clips of frames.
    """
    init_default_scope(model.cfg.get('default_scope', 'mmaction'))
    pipeline = Compose(model_input_pipeline(model.cfg))
    views: List[np.ndarray] = []
    for video in videos:
        found = pipeline(request_for(video))['inputs']
        if not isinstance(found, torch.Tensor) or found.dim() != 5:
            raise NotExported('the test pipeline does not give clips (views, '
                              '3, frames, height, width)')
        if views and found.shape[1:] != views[0].shape[1:]:
            raise NotExported(
                f'{video} gives clips of {tuple(found.shape[1:])}, the one '
                f'before {views[0].shape[1:]}: the test pipeline has no crop, '
                'so take videos of one size')
        views.append(found.numpy().astype(np.float32))
    return np.concatenate(views)


def export(model: nn.Module,
           path: Path,
           views: np.ndarray,
           batch: int = 1,
           dynamic: bool = False,
           normalize: bool = False,
           precision: str = 'float32') -> Agreement:
    """Write a recognizer to a file.

    Args:
        model: The recognizer, on the CPU.
        path: Ends in .onnx or .pt2.
        views: Real clips, see :func:`read_views`; the file is compared with
            the model on them.
        batch: Views that the file takes at a time.
        dynamic: It takes any number instead.
        normalize: It takes colours from 0 to 255, instead of normalised.
        precision: See ``smaller.PRECISIONS``.

    Returns:
        How far the file agrees with the model.

    Raises:
        NotExported: If that cannot be, or the file would be wrong; then
            nothing is written.
    """
    check_precision(path.suffix, precision)
    check_exportable(model)
    tasks = tasks_of(model.eval())
    scorer = Scorer(model, normalize)
    if not normalize:
        mean, std = (np.array(x, np.float32).reshape(3, 1, 1, 1)
                     for x in statistics(model))
        views = (views - mean) / std
    about = describe(model, views.shape, normalize, precision)
    about['batch'] = 'any' if dynamic else batch
    batches = in_batches(views, batch)
    example = torch.from_numpy(batches[0])
    with atomic_write(path) as file:
        if path.suffix == '.onnx':
            proto = converted(
                to_onnx(trace(scorer, example, dynamic), tasks, dynamic),
                precision, batches)
            write_onnx(proto, about, file)
            found = compare(read_onnx(file)[0], scorer, views, batch, tasks)
            check(found, precision)
            write_onnx(proto, dict(about, agreement=found.as_dict()), file)
        else:
            program = trace(_lowered(model, normalize, precision), example,
                            dynamic)
            write_pt2(program, about, file)
            found = compare(read_pt2(file)[0], scorer, views, batch, tasks)
            check(found, precision)
            write_pt2(program, dict(about, agreement=found.as_dict()), file)
    return found


def _lowered(model: nn.Module, normalize: bool, precision: str) -> Scorer:
    """A model in another precision; itself stays as it is."""
    if precision == 'float32':
        return Scorer(model, normalize)
    dtype = getattr(torch, precision)
    scorer = Scorer(copy.deepcopy(model), normalize, dtype)
    scorer.backbone.to(dtype)
    scorer.cls_head.to(dtype)
    return scorer.eval()


def run(args: argparse.Namespace) -> None:
    """Export, compare, say."""
    # What takes no time comes first.
    check_precision(args.out.suffix, args.precision)
    if args.out.suffix == '.onnx':
        _check_onnx()
    check_writable(args.out)
    videos = find_videos(args.clips)[:args.num_clips]
    model = load_model(args)
    check_exportable(model)
    found = export(model, args.out, read_views(model, videos), args.batch,
                   args.dynamic_batch, args.normalize, args.precision)
    megabytes = args.out.stat().st_size / 1e6
    print(f'{args.out}: {args.precision}, {megabytes:.1f} MB')
    print(found.in_words())


def _check_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise NotExported(f'.onnx files need {error.name}: pip install '
                          "'cast-mmaction[export]'") from None
