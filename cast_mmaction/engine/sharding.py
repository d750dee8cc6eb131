"""Models and optimizers of which every process holds a part.

Two engines share a training out beyond data: ZeRO shares the optimizer's
state, FSDP (FSDP2, ``fully_shard``) weights, gradients and state, frozen
weights included. Checkpoints do not tell: whole state dicts are put together
when one is written, see :func:`whole_state`, and every engine resumes those
of any other.
"""
from contextlib import contextmanager
from typing import Dict, Iterator, List

from mmaction.registry import HOOKS
from mmengine._strategy import DDPStrategy, SingleDeviceStrategy
from mmengine.dist import (broadcast_object_list, get_comm_device,
                           get_world_size, is_distributed, is_main_process)
from mmengine.hooks import Hook
from mmengine.model import MMDistributedDataParallel, is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.registry import MODEL_WRAPPERS  # the runner looks there
from torch import Tensor
from torch import nn
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from ..checkpoints import is_frozen
from ..same_weights import send_what_differs

COMPRESSIONS = dict(
    bfloat16=default_hooks.bf16_compress_hook,
    float16=default_hooks.fp16_compress_hook)

WHOLE = (DDPStrategy, SingleDeviceStrategy)  # hold and save whole models


@MODEL_WRAPPERS.register_module()
class CompressedDataParallel(MMDistributedDataParallel):
    """DDP whose gradients travel in half precision.

    They are rounded before they are summed, so that the training is not
    equal to that of one process to the last digits.

    Args:
        module (nn.Module): The model.
        compression (str): 'bfloat16' or 'float16'. Defaults to 'bfloat16'.
        kwargs: Those of MMEngine's and PyTorch's DDP. Gradients are views of
            the buffers that travel, and buffers are not sent, unless these
            say otherwise.

    Raises:
        ValueError: If there is no such compression.
    """

    def __init__(self,
                 module: nn.Module,
                 compression: str = 'bfloat16',
                 **kwargs) -> None:
        if compression not in COMPRESSIONS:
            raise ValueError(f'compression={compression!r} in '
                             'model_wrapper_cfg; use one of '
                             f'{", ".join(COMPRESSIONS)}')
        kwargs.setdefault('gradient_as_bucket_view', True)
        kwargs.setdefault('broadcast_buffers', False)
        super().__init__(module, **kwargs)
        self.register_comm_hook(None, COMPRESSIONS[compression])


@MODEL_WRAPPERS.register_module()
class FullyShardedModel(nn.Module):
    """FSDP2 around a model; :class:`ShardingHook` shares it out.

    Until then, while weights are made and loaded, it is the model itself. A
    test never shares it out.

    Args:
        module (nn.Module): The model. If its backbone has
            ``parts_to_shard``, each of these parts is gathered only while it
            computes; the rest is gathered as a whole.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def shard(self, optimizer: Optimizer) -> None:
        """Keep this process's part of all weights and of the optimizer.

        Args:
            optimizer (Optimizer): Of the weights, with the state, if it has
                any, of a whole model.
        """
        send_what_differs(self.module)
        device = get_comm_device()
        mesh = init_device_mesh(device.type, (get_world_size(), ))
        before = dict(self.module.named_parameters())
        backbone = getattr(self.module, 'backbone', None)
        parts = getattr(backbone, 'parts_to_shard', list)()
        for part, methods in parts:
            if next(part.parameters(), None) is None:
                continue
            fully_shard(part, mesh=mesh)
            for method in methods:
                register_fsdp_forward_method(part, method)
        fully_shard(self.module, mesh=mesh)
        after = dict(self.module.named_parameters())
        _replace(optimizer, {before[name]: after[name] for name in before})

    def forward(self, *args, **kwargs):
        """What the model makes of its inputs."""
        return self.module(*args, **kwargs)

    def train_step(self, data, optim_wrapper: OptimWrapper) -> dict:
        """As :class:`MMDistributedDataParallel` does it."""
        with optim_wrapper.optim_context(self):
            data = self.module.data_preprocessor(data, training=True)
            if isinstance(data, dict):
                losses = self(**data, mode='loss')
            else:
                losses = self(*data, mode='loss')
        loss, log = self.module.parse_losses(losses)
        optim_wrapper.update_params(loss)
        return log

    def val_step(self, data) -> list:
        """The predictions of a batch."""
        return self.module.val_step(data)

    def test_step(self, data) -> list:
        """The predictions of a batch."""
        return self.module.test_step(data)


@HOOKS.register_module()
class ShardingHook(Hook):
    """Shares out a :class:`FullyShardedModel` when all is loaded.

    It runs last: every other hook finds the whole model at the start of a
    training.
    """
    priority = 'LOWEST'

    def before_train(self, runner) -> None:
        """Share out model and optimizer.

        Raises:
            RuntimeError: If there is nobody to share with.
        """
        if not isinstance(runner.model, FullyShardedModel):
            raise RuntimeError(
                'ShardingHook goes with model_wrapper_cfg=dict(type='
                "'FullyShardedModel') and several processes: start them by "
                'tools/dist_train.sh, or leave the engine out')
        # All go by what the first process has looked up for its checkpoints.
        experts = [x for x in runner.model.modules() if is_frozen(x)]
        known = [x.verified_sha256 for x in experts]
        broadcast_object_list(known)
        for expert, identity in zip(experts, known):
            # Nobody can look again in a model that is shared out.
            expert.verified_sha256 = identity or ''
        runner.model.shard(runner.optim_wrapper.optimizer)


def _replace(optimizer: Optimizer, new: Dict[Tensor, Tensor]) -> None:
    """Let an optimizer go on with other, sharded parameters."""
    for group in optimizer.param_groups:
        group['params'] = [new[old] for old in group['params']]
    for old in list(optimizer.state):
        state, parameter = optimizer.state.pop(old), new[old]
        optimizer.state[parameter] = {
            key: _share_out(value, parameter)
            for key, value in state.items()
        }


def _share_out(value, parameter: DTensor):
    """This process's part of a state that has the parameter's shape."""
    if not isinstance(value, Tensor) or value.shape != parameter.shape:
        return value
    return distribute_tensor(
        value, parameter.device_mesh, parameter.placements, src_data_rank=None)


@contextmanager
def whole_state(runner,
                optimizer: bool = True,
                named: bool = False) -> Iterator[None]:
    """Inside, the first process may write the state dicts of the training.

    All processes enter this together: what is shared out travels to the
    first one here, and nowhere else. Of models and optimizers that every
    process holds as a whole nothing travels.

    Args:
        runner (Runner): The runner of the training.
        optimizer (bool): Whether the optimizer's state is asked for.
        named (bool): Whether the frozen tensors of experts are left out that
            checkpoints only name.
    """
    handles = []
    if is_distributed() and hasattr(runner, 'optim_wrapper'):
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        inner = getattr(runner.optim_wrapper, 'optimizer', None)
        if optimizer and isinstance(inner, ZeroRedundancyOptimizer):
            inner.consolidate_state_dict(to=0)
        if _is_sharded(model):
            handles = _gather_model(model, named)
            if optimizer:
                handles += _gather_optimizer(inner)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def check_strategy(runner) -> None:
    """Refuse what writes checkpoints of its own.

    Args:
        runner (Runner or FlexibleRunner): About to run.

    Raises:
        ValueError: Says what to use instead.
    """
    strategy = getattr(runner, 'strategy', None)
    if strategy is not None and type(strategy) not in WHOLE:
        raise ValueError(
            f'strategy={type(strategy).__name__} writes checkpoints of its '
            'own, which SafeCheckpointHook cannot keep safe or load: use '
            'DDPStrategy or SingleDeviceStrategy, or leave runner_type and '
            'strategy out and start with --engine zero or --engine fsdp')


def local(tensor: Tensor) -> Tensor:
    """The part of a tensor that this process holds."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def _is_sharded(model: nn.Module) -> bool:
    return any(isinstance(x, DTensor) for x in model.parameters())


def _gather_model(model: nn.Module, named: bool) -> List:
    """Make ``model.state_dict()`` give whole tensors."""
    left_out = set()
    if named:
        left_out = {
            id(parameter)
            for x in model.modules() if is_frozen(x) and x.verified_sha256
            for parameter in x.parameters() if not parameter.requires_grad
        }
    whole = _gather({
        name: x
        for name, x in model.named_parameters() if id(x) not in left_out
    })

    def put_in(module, state_dict, prefix, local_metadata) -> None:
        for name in state_dict.keys() & whole.keys():
            state_dict[name] = whole[name]

    return [model.register_state_dict_post_hook(put_in)]


def _gather_optimizer(optimizer: Optimizer) -> List:
    """Make ``optimizer.state_dict()`` give whole tensors."""
    places = [p for group in optimizer.param_groups for p in group['params']]
    whole = _gather({
        (place, key): value
        for place, p in enumerate(places)
        for key, value in optimizer.state.get(p, {}).items()
        if isinstance(value, DTensor)
    })

    def put_in(optimizer: Optimizer, state_dict: dict) -> dict:
        state = {place: dict(x) for place, x in state_dict['state'].items()}
        for (place, key), value in whole.items():
            state[place][key] = value
        return dict(state_dict, state=state)

    return [optimizer.register_state_dict_post_hook(put_in)]


def _gather(tensors: dict) -> dict:
    """Whole tensors on the CPU of the first process, one after another;
    nothing on the others."""
    whole = {}
    for name, tensor in tensors.items():
        value = tensor.detach()
        value = value.full_tensor() if isinstance(value, DTensor) else value
        if is_main_process():
            whole[name] = value.cpu()
    return whole
