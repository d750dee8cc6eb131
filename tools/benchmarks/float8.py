"""Frozen Linears whose product is taken in float8: an experiment.

A float8 (e4m3) number has 4 significant bits and ends at 448, so that what
enters a product is divided by a scale and the product multiplied with it. The
scale of a weight is found once, that of activations at every call; nothing
waits for the device.

M tokens, K channels in, N channels out.
"""
from typing import Callable, Optional, Tuple

import torch
from torch import Tensor, nn

FLOAT8 = torch.float8_e4m3fn
LARGEST = torch.finfo(FLOAT8).max
# Stands for the largest of values that are all zero.
SMALLEST = 1e-12
CAPABILITY = (8, 9)  # the first of NVIDIA's with such products
SCALES = ('tensor', 'row')
BACKWARDS = ('bfloat16', 'float8')

Cast = Callable[[Tensor, bool], Tuple[Tensor, Tensor]]


def to_float8(x: Tensor, by_row: bool) -> Tuple[Tensor, Tensor]:
    """The largest value becomes the largest number that float8 has.

    Args:
        x: ``(M, K)``, of any floating type.
        by_row: A scale for each row instead of one for all.

    Returns:
        ``x / scale (M, K)`` in float8 and ``scale``, ``(M, 1)`` or ``()`` in
        float32.
    """
    largest = torch.linalg.vector_norm(
        x,
        torch.inf,
        dim=1 if by_row else None,
        keepdim=by_row,
        dtype=torch.float32)
    scale = largest.clamp(min=SMALLEST) / LARGEST
    # A product wants its rows to lie one behind the other.
    return (x / scale).to(FLOAT8).contiguous(), scale


def product(a: Tuple[Tensor, Tensor],
            b: Tuple[Tensor, Tensor],
            bias: Optional[Tensor] = None) -> Tensor:
    """``a @ b.T + bias`` of what :func:`to_float8` gives.

    Args:
        a: ``(M, K)`` and its scale.
        b: ``(N, K)`` and its scale, of the same kind.
        bias: ``(N,)`` in bfloat16.

    Returns:
        ``(M, N)`` in bfloat16.
    """
    (a, scale_a), (b, scale_b) = a, b
    return torch._scaled_mm(
        a,
        b.t(),
        scale_a=scale_a,
        scale_b=scale_b.t() if scale_b.ndim else scale_b,
        bias=bias,
        out_dtype=torch.bfloat16,
        use_fast_accum=True)


class _Product(torch.autograd.Function):
    """A Linear without gradients for its weights."""

    @staticmethod
    def forward(ctx, x: Tensor, layer: 'Float8Linear') -> Tensor:
        ctx.layer, ctx.dtype = layer, x.dtype
        return product(
            layer.cast(x.detach(), layer.by_row), (layer.weight8, layer.scale),
            layer.bias)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tuple[Tensor, None]:
        layer = ctx.layer
        if layer.weight is not None:
            return (grad @ layer.weight).to(ctx.dtype), None
        grad = layer.cast(grad, layer.by_row)
        turned = layer.turned8, layer.turned_scale
        return product(grad, turned).to(ctx.dtype), None


class Float8Linear(nn.Module):
    """What a frozen ``nn.Linear`` computes, by a product in float8.

    Args:
        linear: Whose weights it takes. They get no gradients.
        scales: 'tensor': one scale for all activations and one for all
            weights; 'row': one for each token and each channel out.
        backward: Of the product with the gradient. 'bfloat16': by the weight,
            which is kept in bfloat16 for that; 'float8': by the weight turned
            and cast a second time, its scales by channels in.
    """

    def __init__(self,
                 linear: nn.Linear,
                 scales: str = 'tensor',
                 backward: str = 'bfloat16') -> None:
        super().__init__()
        self.by_row = scales == 'row'
        self.cast: Cast = to_float8
        weight = linear.weight.detach()  # (N, K)
        bias = linear.bias
        self._hold('weight8', 'scale', weight)
        self.register_buffer(
            'bias', None if bias is None else bias.detach().bfloat16())
        if backward == 'bfloat16':
            self.register_buffer('weight', weight.bfloat16())
        else:
            self.weight = None
            self._hold('turned8', 'turned_scale', weight.t().contiguous())

    def _hold(self, name: str, name_of_scale: str, weight: Tensor) -> None:
        cast, scale = to_float8(weight.float(), self.by_row)
        self.register_buffer(name, cast)
        self.register_buffer(name_of_scale, scale)

    def forward(self, x: Tensor) -> Tensor:
        """``(..., K)`` in any type ``-> (..., N)`` in bfloat16."""
        y = _Product.apply(x.reshape(-1, x.shape[-1]), self)
        return y.unflatten(0, x.shape[:-1])


def hold_in_float8(module: nn.Module, scales: str, backward: str) -> int:
    """Replaces the frozen Linears within a module.

    Returns:
        How many there were.
    """
    frozen = [(parent, name, child) for parent in module.modules()
              for name, child in parent.named_children()
              if isinstance(child, nn.Linear)
              and not child.weight.requires_grad]
    for parent, name, child in frozen:
        setattr(parent, name, Float8Linear(child, scales, backward))
    return len(frozen)


def why_not(device: torch.device, scales: str) -> Optional[str]:
    """Why a device has no such product; None if it has."""
    if device.type == 'cuda':
        capability = torch.cuda.get_device_capability(device)
        if capability < CAPABILITY:
            return (f'compute capability {capability[0]}.{capability[1]}, '
                    f'float8 needs {CAPABILITY[0]}.{CAPABILITY[1]}')
    layer = Float8Linear(nn.Linear(32, 32), scales).to(device)
    try:
        layer(torch.ones(16, 32, device=device))
    except (RuntimeError, NotImplementedError) as error:
        return str(error).splitlines()[0]
    return None
