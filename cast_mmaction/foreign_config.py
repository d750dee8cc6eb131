"""Configs that come out of a file, taken as data.

MMEngine runs the text of a config as Python, and its registries import what
they do not know: ``type='mmengine.load'`` reads a pickle and ``type='this'``
imports a module. Whoever writes the file would so run a program here. In this
module such a config is literals, and its types are names that are registered
already.
"""
import ast
import math
from contextlib import contextmanager
from typing import Any, Dict, Iterator, Sequence, Union

import torch
from mmaction.registry import MODELS, TRANSFORMS
from mmengine.registry import Registry
from torch import Tensor
from torch.overrides import TorchFunctionMode

from .checkpoints.rename import CheckpointError

# Where weights come from and how a training held them: settled when a model
# leaves its training.
SETTLED = dict(
    pretrained=None, init_cfg=None, frozen_dtype=None, compile=False)

# Types that the host looks up in tables of its own, by the option they are in.
HOST_TABLES = dict(
    slow_pathway=('resnet3d', ),
    fast_pathway=('resnet3d', ),
    consensus=('AvgConsensus', 'none'))

# Registered modules whose constructors open files or fetch from the net.
OPENERS = ('mmaction.models.multimodal', 'mmaction.models.similarity',
           'mmaction.models.roi_heads')

LONGEST_TEXT = 2**20  # characters
DEEPEST = 32  # levels
MOST_VALUES = 2**14
LARGEST_NUMBER = 2**16  # a width, a number of classes, a size in pixels

# What makes new tensors of a given size, and what one more of them counts.
FACTORIES = {
    torch.arange, torch.empty, torch.full, torch.linspace, torch.ones,
    torch.rand, torch.randn, torch.zeros
}
CALL = 2**12  # elements


def parse_config(text: str, source: str) -> Dict[str, Any]:
    """The values of a config's text, without running it.

    Args:
        text (str): A literal dict, or assignments of literals as
            ``Config.pretty_text`` writes them; ``dict(a=1)`` counts as one.
        source (str): Where it is from, for the error.

    Raises:
        CheckpointError: If there is anything else in it.
    """
    try:
        if not isinstance(text, str) or len(text) > LONGEST_TEXT:
            raise ValueError(f'more than {LONGEST_TEXT} characters, or none')
        body = ast.parse(text.lstrip(' \t')).body
        if len(body) == 1 and isinstance(body[0], ast.Expr):
            return dict(_literal(body[0].value))
        values = {}
        for line in body:
            if not isinstance(line, ast.Assign) or len(line.targets) > 1 or \
                    not isinstance(line.targets[0], ast.Name):
                raise ValueError(f'line {line.lineno} assigns no value')
            values[line.targets[0].id] = _literal(line.value)
        return values
    except (ValueError, SyntaxError, TypeError, MemoryError,
            RecursionError) as error:
        raise CheckpointError(
            f'{source}: its config is no plain data '
            f'({type(error).__name__}: {str(error)[:200]})') from None


def _literal(node: ast.AST) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and \
            node.func.id == 'dict' and not node.args:
        if any(pair.arg is None for pair in node.keywords):
            raise ValueError('dict(**...)')
        return {pair.arg: _literal(pair.value) for pair in node.keywords}
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {
            ast.literal_eval(key): _literal(value)
            for key, value in zip(node.keys, node.values)
        }
    if isinstance(node, ast.List):
        return [_literal(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_literal(item) for item in node.elts)
    return ast.literal_eval(node)


def standalone(value: Any, settled: Sequence[str] = tuple(SETTLED)) -> Any:
    """A config as plain data, without what is settled."""
    if isinstance(value, dict):
        return {
            key: SETTLED[key] if key in settled else standalone(item, settled)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return type(value)(standalone(item, settled) for item in value)
    return value


def check_config(config: Dict[str, Any],
                 source: str,
                 settled: Sequence[str] = tuple(SETTLED)) -> None:
    """Refuses a config that is more than a model and its test pipeline.

    Args:
        config (dict): ``model`` and ``test_pipeline``, a list of transforms.
        source (str): Where it is from, for the error.
        settled (sequence[str]): Keys of ``SETTLED`` that it must not set.

    Raises:
        CheckpointError: If it names something that is not registered where
            it stands, holds other than plain values, or is beyond all sizes
            that models have.
    """
    model = config.get('model')
    pipeline = config.get('test_pipeline')
    if not isinstance(model, dict) or 'type' not in model:
        raise CheckpointError(f'{source}: refused, its config has no model')
    if not isinstance(pipeline, (list, tuple)) or not all(
            isinstance(step, dict) and 'type' in step for step in pipeline):
        raise CheckpointError(f'{source}: refused, its config has no '
                              'test_pipeline, a list of transforms')
    if set(config) != {'model', 'test_pipeline'}:
        raise CheckpointError(f'{source}: refused, its config holds more '
                              'than a model and a test_pipeline')
    check_plain(config, source, settled)
    check_types(model, MODELS, source)
    check_types(pipeline, TRANSFORMS, source)


def check_plain(config: Any,
                source: str,
                settled: Sequence[str] = ()) -> None:
    """Refuses what JSON does not have, tuples excepted, and what is too much.

    Args:
        config: A config, or a part of one.
        source (str): Where it is from, for the error.
        settled (sequence[str]): See :func:`check_config`.

    Raises:
        CheckpointError: Naming the value.
    """
    count, left = 0, [(config, 0)]
    while left:
        value, depth = left.pop()
        count += 1
        if depth > DEEPEST or count > MOST_VALUES:
            raise CheckpointError(
                f'{source}: refused, its config has more than {DEEPEST} '
                f'levels or {MOST_VALUES} values')
        if isinstance(value, dict):
            if not all(isinstance(key, (str, int)) for key in value):
                raise CheckpointError(f'{source}: refused, a key in its '
                                      'config is no name')
            for key in set(value) & set(settled):
                if value[key] != SETTLED[key]:
                    raise CheckpointError(f'{source}: refused, its config '
                                          f'sets {key}')
            left += [(item, depth + 1) for item in value.values()]
        elif isinstance(value, (list, tuple)):
            left += [(item, depth + 1) for item in value]
        elif isinstance(value, (int, float)):
            if not abs(value) <= LARGEST_NUMBER:
                raise CheckpointError(f'{source}: refused, its config holds '
                                      f'the number {value:.6g}')
        elif not isinstance(value, (str, type(None))):
            raise CheckpointError(f'{source}: refused, its config holds a '
                                  f'{type(value).__name__}')


def check_types(value: Any,
                registry: Registry,
                source: str,
                option: Union[str, int] = '') -> None:
    """Refuses what is not registered, at every level.

    Args:
        value: A config to build, or a value in one.
        registry (Registry): That it would be built from.
        source (str): Where it is from, for the error.
        option (str): The option that holds the value.

    Raises:
        CheckpointError: If a ``type`` is not a name in the registry or its
            parents, or a registry of another package is asked for.
    """
    if isinstance(value, dict):
        if '_scope_' in value or 'type' in value and not _registered(
                value['type'], registry, HOST_TABLES.get(option, ())):
            name = value.get('_scope_', value.get('type'))
            raise CheckpointError(
                f'{source}: refused, its config asks for '
                f'{str(name)[:200]!r}, which is no registered module')
        for key, item in value.items():
            check_types(item, registry, source, key)
    elif isinstance(value, (list, tuple)):
        for item in value:
            check_types(item, registry, source, option)


def _registered(name: Any, registry: Registry, others: Sequence[str]) -> bool:
    if not isinstance(name, str) or name in others:
        return name in others
    scope, _, bare = name.rpartition('.')
    while registry is not None:
        if bare in registry.module_dict and scope in ('', registry.scope):
            home = getattr(registry.module_dict[bare], '__module__', '')
            return not home.startswith(OPENERS)
        registry = registry.parent
    return False


@contextmanager
def no_larger_than(weights: Dict[str, Any], source: str) -> Iterator[None]:
    """Inside, a model that the weights could not fill is not built.

    Args:
        weights (dict): Tensors by name; whatever else is ignored.
        source (str): Where the config is from, for the error.

    Raises:
        CheckpointError: If it is larger, or the config makes no model.
    """
    tensors = [w for w in weights.values() if isinstance(w, Tensor)]
    numel = sum(w.numel() + CALL for w in tensors)
    try:
        with _Room(8 * numel + 2**24, source):
            yield
    except CheckpointError:
        raise
    except (AssertionError, AttributeError, ImportError, LookupError,
            MemoryError, RuntimeError, TypeError, ValueError,
            ArithmeticError) as error:
        raise CheckpointError(
            f'{source}: its config makes no model '
            f'({type(error).__name__}: {str(error)[:300]})') from error


class _Room(TorchFunctionMode):
    """Counts the elements of new tensors, before there is memory for them."""

    def __init__(self, numel: int, source: str) -> None:
        super().__init__()
        self.numel, self.source = numel, source

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in FACTORIES:
            size = args[0] if args and isinstance(args[0],
                                                  (list, tuple)) else args
            size = (kwargs or {}).get('size', size)
            self.numel -= CALL + math.prod(
                int(n) for n in size if isinstance(n, (int, float)))
            if self.numel < 0:
                raise CheckpointError(
                    f'{self.source}: refused, its config asks for a model '
                    'that is larger than its weights')
        return func(*args, **(kwargs or {}))
