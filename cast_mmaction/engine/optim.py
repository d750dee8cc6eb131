"""Parameter groups: layer-wise learning rates, no decay where none belongs."""
from collections import defaultdict
from typing import Dict, List, Optional, Sequence, Set, Tuple

import torch
from mmaction.registry import OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.dist import is_distributed
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS, OPTIMIZERS
from torch import nn
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.nn.modules.batchnorm import _NormBase

NORMS = (nn.LayerNorm, nn.GroupNorm, _NormBase)
UNDECAYED = ('norms', 'vectors', 'named')
AMP_KEYS = ('loss_scale', 'dtype', 'use_fsdp')
FUSED = ('Adam', 'AdamW', 'SGD')  # have kernels that update all at once


# The second name is that of 0.1; it goes with the next release.
@OPTIM_WRAPPER_CONSTRUCTORS.register_module(name=[
    'LayerDecayOptimWrapperConstructor', 'CASTOptimWrapperConstructor'
])
class LayerDecayOptimWrapperConstructor:
    """Builds the optimizer with layer-wise learning rates.

    Layer ids follow ``model.backbone.layer_groups()``, a list of lists of
    modules: the embeddings first (id 0), then one list per block (1 to L);
    everything else has id L + 1. A parameter of layer ``i`` learns with
    ``lr * layer_decay_rate ** (L + 1 - i)``. A backbone without
    ``layer_groups`` is one layer.

    What is not decayed is ``undecayed``, by default all of 'norms' (weights
    and biases of normalisations), 'vectors' (biases and other 1-d tensors)
    and 'named' (what a module names in its ``no_weight_decay``: tokens and
    positions). Frozen parameters are left out.

    On a GPU Adam, AdamW and SGD are fused unless ``fused`` or ``foreach`` is
    given: one kernel, which :class:`Agreement` can hold back. Which kernels
    are taken is decided anew where a training is resumed.

    On a machine without a GPU an ``AmpOptimWrapper`` becomes an
    ``OptimWrapper``: MMEngine's mixed precision asserts a GPU.

    With ``sharded=True`` in ``optimizer`` every process holds a part of its
    state (ZeRO, ``configs/_base_/engine/zero.py``). It is not fused, and one
    process alone holds all of it.

    Args:
        optim_wrapper_cfg (dict): Of the wrapper, with ``optimizer`` in it.
        paramwise_cfg (dict, optional): ``layer_decay_rate`` (float, defaults
            to 1.0, no decay between layers), ``undecayed`` (list of the kinds
            above; empty to decay everything) and ``backbone_lr_mult`` (float,
            factor on the rate of all of the backbone, defaults to 1.0).

    Raises:
        ValueError: If ``paramwise_cfg`` holds something else, ``undecayed``
            names another kind, or the model has nothing to train.
    """

    def __init__(self,
                 optim_wrapper_cfg: dict,
                 paramwise_cfg: Optional[dict] = None) -> None:
        paramwise = dict(paramwise_cfg or {})
        self.layer_decay_rate = paramwise.pop('layer_decay_rate', 1.0)
        self.backbone_lr_mult = paramwise.pop('backbone_lr_mult', 1.0)
        self.undecayed = tuple(paramwise.pop('undecayed', UNDECAYED))
        if paramwise:
            raise ValueError(
                f'unknown keys in paramwise_cfg: {", ".join(paramwise)}; '
                'LayerDecayOptimWrapperConstructor takes layer_decay_rate, '
                'undecayed and backbone_lr_mult')
        wrong = set(self.undecayed) - set(UNDECAYED)
        if wrong:
            raise ValueError(
                f'undecayed={list(self.undecayed)} in paramwise_cfg; use '
                f'some of {", ".join(UNDECAYED)}')
        self.optim_wrapper_cfg = dict(optim_wrapper_cfg)
        self.optimizer_cfg = dict(self.optim_wrapper_cfg.pop('optimizer'))
        self.sharded = self.optimizer_cfg.pop('sharded', False)

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the wrapper around the parameters of ``model``."""
        if is_model_wrapper(model):
            model = model.module
        cfg = dict(self.optimizer_cfg)
        sharded = self.sharded and is_distributed()
        if torch.cuda.is_available() and cfg['type'] in FUSED and not (
                sharded or cfg.keys() & {'fused', 'foreach'}):
            cfg['fused'] = True
        groups = self.parameter_groups(model)
        wrapper = dict(self.optim_wrapper_cfg)
        wrapper.setdefault('type', 'OptimWrapper')
        if wrapper['type'] == 'AmpOptimWrapper' and \
                not torch.cuda.is_available():
            print_log(
                'no GPU here: mixed precision is off, the training runs in '
                'float32',
                logger='current')
            wrapper = {k: v for k, v in wrapper.items() if k not in AMP_KEYS}
            wrapper['type'] = 'OptimWrapper'
        if sharded:
            build = OPTIMIZERS.get(cfg.pop('type'))
            optimizer = ZeroRedundancyOptimizer(
                groups, optimizer_class=build, **cfg)
        else:
            optimizer = OPTIMIZERS.build(dict(cfg, params=groups))
        optimizer.register_load_state_dict_pre_hook(_keep_kernels)
        return OPTIM_WRAPPERS.build(
            wrapper, default_args=dict(optimizer=optimizer))

    def parameter_groups(self, model: nn.Module) -> List[dict]:
        """The optimizer's groups, one for each learning rate and decay.

        Returns:
            list[dict]: With ``params``, ``lr``, ``weight_decay``, and
            ``name`` for the log, in the order of the layers.
        """
        lr = self.optimizer_cfg['lr']
        weight_decay = self.optimizer_cfg.get('weight_decay', 0.)
        layer_of, last_layer = layer_ids(model)
        undecayed = undecayed_parameters(model, self.undecayed)
        backbone = getattr(model, 'backbone', None)
        slow = set() if backbone is None or self.backbone_lr_mult == 1 else {
            id(parameter) for parameter in backbone.parameters()}

        members: Dict[tuple, List[nn.Parameter]] = defaultdict(list)
        for parameter in model.parameters():
            if parameter.requires_grad:
                layer = layer_of.get(id(parameter), last_layer)
                members[layer, id(parameter) not in undecayed,
                        id(parameter) in slow].append(parameter)
        if not members:
            raise ValueError('the model has no parameter to train')

        groups = []
        for (layer, decayed, slowed), params in sorted(
                members.items(), key=lambda item: item[0]):
            scale = self.layer_decay_rate**(last_layer - layer)
            if slowed:
                scale *= self.backbone_lr_mult
            groups.append(
                dict(
                    params=params,
                    lr=lr * scale,
                    weight_decay=weight_decay if decayed else 0.,
                    name=f'layer {layer}, '
                    f'{"decay" if decayed else "no decay"}'
                    f'{", backbone" if slowed else ""}'))
            print_log(
                f'{groups[-1]["name"]}: {len(params)} tensors, '
                f'{sum(p.numel() for p in params) / 1e6:.3f} M parameters, '
                f'lr x {scale:.4g}',
                logger='current')
        return groups


def _keep_kernels(optimizer: torch.optim.Optimizer, state: dict) -> dict:
    """Which kernels compute is up to the machine, not to the checkpoint."""
    own = {
        key: optimizer.defaults[key]
        for key in ('fused', 'foreach') if key in optimizer.defaults
    }
    groups = [dict(group, **own) for group in state['param_groups']]
    return dict(state, param_groups=groups)


def layer_ids(model: nn.Module) -> Tuple[Dict[int, int], int]:
    """The layer of every parameter that the backbone assigns to one.

    Returns:
        tuple[dict[int, int], int]: From ``id(parameter)`` to its layer, and
        the id of the last layer, to which all others belong.
    """
    backbone = getattr(model, 'backbone', None)
    if not hasattr(backbone, 'layer_groups'):
        return {}, 0
    groups = backbone.layer_groups()
    layers = {
        id(parameter): layer
        for layer, modules in enumerate(groups) for module in modules
        for parameter in module.parameters()
    }
    return layers, len(groups)


def undecayed_parameters(
        model: nn.Module, kinds: Sequence[str] = UNDECAYED) -> Set[int]:
    """``id`` of every parameter that takes no weight decay.

    Args:
        model (nn.Module): The model.
        kinds (Sequence[str]): Which are meant, see
            :class:`LayerDecayOptimWrapperConstructor`.
    """
    found = set()
    for module in model.modules():
        names = getattr(module, 'no_weight_decay', ())
        names = names() if callable(names) else names  # timm has a method
        for name, parameter in module.named_parameters(recurse=False):
            is_of = dict(
                norms=isinstance(module, NORMS),
                vectors=parameter.ndim <= 1 or name.endswith('bias'),
                named=name in names)
            if any(is_of[kind] for kind in kinds):
                found.add(id(parameter))
    return found
