"""What an answer rests on: attention rollout and Grad-CAM over tokens."""
from typing import Dict, Optional, Union

import torch
from torch import Tensor, nn

from .attention_maps import record_attention, streams

Features = Union[Tensor, tuple, Dict[str, Tensor]]


def attention_rollout(model: nn.Module,
                      inputs: Union[Tensor, Dict[str, Tensor]]
                      ) -> Dict[str, Tensor]:
    """How much each patch reaches the read-out of its expert by attention
    (arXiv 2005.00928): the product over blocks of ``(A + 1) / 2``, ``A``
    averaged over heads. What experts tell each other is not part of it.

    Args:
        model: A recognizer or a backbone in evaluation mode.
        inputs: What the backbone takes: a clip ``(B, 3, F, H, W)``, or by
            name.

    Returns:
        By expert ``(B, T, N)``, each step and patch, summing to 1.
    """
    backbone = getattr(model, 'backbone', model)
    experts = streams(backbone)
    with torch.no_grad(), record_attention(
            model, directions=list(experts), average_heads=True) as maps:
        _run(backbone, inputs)
    found = {}
    for name, expert in experts.items():
        own = [m for (_, direction), m in sorted(maps.items())
               if direction == name]
        if not own:
            continue
        batch, steps, tokens = own[0].asking
        rolled = None
        for one in own:
            a = one.weights[:, 0]  # (S, L, L)
            a = (a + torch.eye(a.shape[-1], device=a.device)) / 2
            rolled = a if rolled is None else a @ rolled
        places = torch.arange(steps * tokens, device=rolled.device)
        read = expert.read_out_tokens(places.view(1, steps, tokens, 1))
        if own[0].window == 'space':  # (B*T, P, P): every step by itself
            rolled = rolled.unflatten(0, (batch, steps))
            share = rolled[:, :, read[0, 0, :, 0]].mean(dim=2)
        else:  # (B, T*P, T*P)
            share = rolled[:, read.flatten()].mean(dim=1)
            share = share.unflatten(1, (steps, tokens))
        share = share[..., own[0].prefix:]
        found[name] = share / share.sum(dim=(1, 2), keepdim=True)
    return found


def token_grad_cam(model: nn.Module,
                   inputs: Union[Tensor, Dict[str, Tensor]],
                   target: Optional[Union[int, Dict[str, int]]] = None,
                   layer: int = -1) -> Dict[str, Tensor]:
    """Which patches speak for a class: Grad-CAM (arXiv 1610.02391) on the
    tokens that enter a block, ``relu(sum over channels of gradient x token)``.

    Args:
        model: A recognizer in evaluation mode.
        inputs: See :func:`attention_rollout`.
        target: The class, or of several tasks one each. Defaults to the best.
        layer: The block of every expert, negative from the last.

    Returns:
        By expert ``(B, T, N)``, the largest 1 (all 0 where nothing speaks for
        the class).

    Raises:
        ValueError: If the class or the block does not exist.
    """
    backbone, experts = model.backbone, streams(model.backbone)
    kept: Dict[str, Tensor] = {}

    def keep(name: str):

        def hook(module, args) -> None:
            if args[0].requires_grad:
                args[0].retain_grad()
            kept[name] = args[0]

        return hook

    handles = []
    for name, expert in experts.items():
        blocks = list(expert.blocks)
        if not -len(blocks) <= layer < len(blocks):
            raise ValueError(f'the {name} expert has no block {layer}: it '
                             f'has {len(blocks)}')
        block = getattr(blocks[layer], 'block', blocks[layer])
        handles.append(block.norm1.register_forward_pre_hook(keep(name)))
    try:
        with torch.enable_grad():
            scores = model.cls_head(_run(backbone, _with_grad(inputs)))
            _chosen(scores, target).sum().backward()
    finally:
        for handle in handles:
            handle.remove()
        model.zero_grad(set_to_none=True)
    found = {}
    for name, tokens in kept.items():
        if tokens.grad is None:
            continue
        cam = (tokens.grad * tokens.detach()).sum(dim=-1).relu()
        cam = cam[..., experts[name].spec.num_prefix_tokens:]
        found[name] = cam / cam.amax(dim=(1, 2), keepdim=True).clamp(
            min=torch.finfo(cam.dtype).tiny)
    return found


def _chosen(scores: Union[Tensor, tuple],
            target: Optional[Union[int, Dict[str, int]]]) -> Tensor:
    """The logit of the target, summed over tasks: ``(B, )``."""
    if isinstance(scores, Tensor):
        scores, target = (scores, ), {0: target}
        tasks = (0, )
    else:
        tasks = ('verb', 'noun')
        target = target or {}
    total = 0.
    for task, x in zip(tasks, scores):
        wanted = target.get(task)
        if wanted is not None and wanted not in range(x.shape[1]):
            raise ValueError(f'there is no class {wanted}: the model has '
                             f'{x.shape[1]}')
        total = total + (x.amax(dim=1) if wanted is None else x[:, wanted])
    return total


def _with_grad(inputs: Union[Tensor, Dict[str, Tensor]]):
    """Inputs that gradients reach, also through frozen experts."""
    if isinstance(inputs, Tensor):
        return inputs.detach().clone().requires_grad_()
    return {
        name: x.detach().clone().requires_grad_()
        if x.is_floating_point() else x
        for name, x in inputs.items()
    }


def _run(backbone: nn.Module,
         inputs: Union[Tensor, Dict[str, Tensor]]) -> Features:
    return backbone(**inputs) if isinstance(inputs, dict) else backbone(inputs)
