"""From a recognizer to a program in a file."""
import json
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple, Union

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.export import ExportedProgram

from ..models.attention import use_kernel
from .description import KEY, NotExported, statistics

# Clips in, the logits of every task out.
Runner = Callable[[np.ndarray], List[np.ndarray]]

# A protobuf, and so a single .onnx file, ends here.
ONNX_LIMIT = 2**31
OPSET = 20


class Scorer(nn.Module):
    """A recognizer as one function: clips to logits.

    Args:
        model: The recognizer.
        normalize: Take colours from 0 to 255.
        dtype: What it computes in; clips and logits are float32.
    """

    def __init__(self, model: nn.Module, normalize: bool,
                 dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.backbone = model.backbone
        self.cls_head = model.cls_head
        self.normalize = normalize
        self.dtype = dtype
        mean, std = (torch.tensor(x).view(3, 1, 1, 1)
                     for x in statistics(model))
        self.register_buffer('mean', mean, persistent=False)
        self.register_buffer('std', std, persistent=False)

    def forward(self, clips: Tensor) -> Union[Tensor, Tuple[Tensor, ...]]:
        """``(N, 3, frames, H, W)`` to ``(N, classes)``, of two labels a pair
        of these."""
        if self.normalize:
            clips = (clips - self.mean) / self.std
        return self.cls_head(self.backbone(clips.to(self.dtype)))


def trace(scorer: Scorer, clips: Tensor, dynamic: bool) -> ExportedProgram:
    """The program of a scorer.

    Args:
        scorer: In evaluation mode.
        clips: As many as the file shall take at a time.
        dynamic: Any number may be given instead.

    Raises:
        NotExported: If torch.export cannot follow the model.
    """
    if dynamic and len(clips) < 2:
        clips = clips.repeat(2, 1, 1, 1, 1)  # of 1, torch.export makes a rule
    batch = ({0: torch.export.Dim('batch')}, ) if dynamic else None
    with torch.no_grad(), _plainly(scorer.backbone):
        # Once before, so that what a model computes once and keeps is there.
        scorer(clips)
        try:
            return torch.export.export(
                scorer, (clips, ), dynamic_shapes=batch)
        except (RuntimeError, ValueError) as error:
            reason = str(error).strip().partition('\n')[0]
            raise NotExported('torch.export cannot follow the model: '
                              f'{reason}') from error


@contextmanager
def _plainly(backbone: nn.Module) -> Iterator[None]:
    """Block by block without torch.compile, and with an attention that does
    not ask how many sequences there are."""
    options = getattr(backbone, 'compile_options', None)
    if options is not None:
        backbone.compile_options = None
    try:
        with use_kernel(F.scaled_dot_product_attention):
            yield
    finally:
        if options is not None:
            backbone.compile_options = options


def write_pt2(program: ExportedProgram, about: Dict[str, Any],
              file: Path) -> None:
    """Write a program for ``torch.export.load``; what is to know is its
    extra file ``cast_mmaction``."""
    with open(file, 'wb') as stream:
        torch.export.save(
            program, stream, extra_files={KEY: json.dumps(about)})


def read_pt2(file: Path) -> Tuple[Runner, Dict[str, Any]]:
    """Such a file, as a function, and what is to know."""
    extra = {KEY: ''}
    with open(file, 'rb') as stream:
        program = torch.export.load(stream, extra_files=extra)
    about = json.loads(extra[KEY])
    call = program.module()

    def run(clips: np.ndarray) -> List[np.ndarray]:
        with torch.no_grad():
            scores = call(torch.from_numpy(clips))
        scores = (scores, ) if isinstance(scores, Tensor) else scores
        return [x.float().numpy() for x in scores]

    return run, about


def to_onnx(program: ExportedProgram, tasks: List[str], dynamic: bool):
    """A program as an ``onnx.ModelProto``.

    Raises:
        NotExported: If it is too large for one file.
    """
    size = sum(x.numel() * x.element_size()
               for x in program.state_dict.values())
    if size >= ONNX_LIMIT:
        raise NotExported(
            f'the weights have {size / 2**30:.1f} GB, and an .onnx file holds '
            'up to 2: export to .pt2, or take a smaller model')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of onnxscript about itself
        proto = torch.onnx.export(
            program, (), input_names=['clips'], output_names=tasks,
            opset_version=OPSET, dynamo=True, verbose=False).model_proto
    if dynamic:
        _call_batch(proto)
    return proto


def _call_batch(proto) -> None:
    """Give the free dimension its name, which gets lost on the way."""
    graph = proto.graph
    free = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param == free:
                dim.dim_param = 'batch'


def write_onnx(proto, about: Dict[str, Any], file: Path) -> None:
    """Write a model for ONNX Runtime and others."""
    del proto.metadata_props[:]
    entry = proto.metadata_props.add()
    entry.key, entry.value = KEY, json.dumps(about)
    file.write_bytes(proto.SerializeToString())


def read_onnx(file: Path) -> Tuple[Runner, Dict[str, Any]]:
    """Such a file, as a function, and what is to know."""
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        file.read_bytes(), options, providers=['CPUExecutionProvider'])
    about = json.loads(session.get_modelmeta().custom_metadata_map[KEY])

    def run(clips: np.ndarray) -> List[np.ndarray]:
        return session.run(None, dict(clips=clips))

    return run, about
