"""Small trained modules beside frozen blocks."""
from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .vit import Block


def init_linear(module: nn.Linear,
                zero: bool = False,
                std: float = .02) -> None:
    """Truncated normal (or zero) for the weight, zero for the bias."""
    if zero:
        nn.init.zeros_(module.weight)
    else:
        nn.init.trunc_normal_(module.weight, std=std)
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def gelu_linear(x: Tensor, layer: nn.Linear) -> Tensor:
    """``layer(GELU(x))``; for the backward pass only ``x`` is kept."""
    if not x.requires_grad:
        return layer(F.gelu(x))
    return _GELULinear.apply(x, layer.weight, layer.bias)


class _GELULinear(torch.autograd.Function):
    """Computes GELU(x), which the gradient of the weight needs, again."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.linear(F.gelu(x), weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        rows = grad.flatten(0, -2)
        seen = F.gelu(x).to(grad.dtype).flatten(0, -2)
        grad_weight = (rows.T @ seen).to(weight.dtype)
        grad_bias = rows.sum(0).to(weight.dtype)
        grad_x = (grad @ weight.to(grad.dtype)).to(x.dtype)
        return (torch.ops.aten.gelu_backward(grad_x, x), grad_weight,
                grad_bias)


class Adapter(nn.Module):
    """ADAP of the CAST paper: a bottleneck MLP without skip connection.

    ``Linear D -> ratio * D, GELU, Linear -> out_dims``. The second Linear
    starts at zero, so a new adapter adds nothing.

    Args:
        embed_dims: Width D of the input.
        ratio: Width of the bottleneck as a share of D.
        out_dims: Width of the output; None for D.
    """

    def __init__(self,
                 embed_dims: int,
                 ratio: float = 0.25,
                 out_dims: Optional[int] = None) -> None:
        super().__init__()
        hidden_dims = int(embed_dims * ratio)
        if hidden_dims < 1:
            raise ValueError(f'an adapter of ratio {ratio} leaves nothing of '
                             f'a width of {embed_dims}')
        self.down = nn.Linear(embed_dims, hidden_dims)
        self.up = nn.Linear(hidden_dims, out_dims or embed_dims)
        init_linear(self.down)
        init_linear(self.up, zero=True)

    def forward(self, x: Tensor) -> Tensor:
        """``(..., D) -> (..., out_dims)``."""
        return gelu_linear(self.down(x), self.up)


class TemporalConv(nn.Conv1d):
    """Depth-wise convolution over three steps, zeros beyond the clip.

    Written as three shifted products: tokens stay where they are, only the
    input is kept for the backward pass, and no backend has to be good at
    depth-wise convolutions.

    Args:
        dims: Channels C.
    """

    def __init__(self, dims: int) -> None:
        super().__init__(dims, dims, 3, padding=1, groups=dims)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, T, P, C) -> (B, T, P, C)``."""
        before, now, after = self.weight[:, 0].unbind(-1)  # (C,) each
        out = self.bias + now * x
        out[:, 1:] += before * x[:, :-1]
        out[:, :-1] += after * x[:, 1:]
        return out


class SpaceTimeAdapter(nn.Module):
    """ST-Adapter (arXiv 2206.13559): a bottleneck that looks along time.

    ``Linear D -> C, depth-wise convolution over 3 steps, Linear C -> D``, of
    the patches only. The convolution and all biases start at zero, so a new
    adapter adds nothing.

    Args:
        embed_dims: Width D.
        hidden_dims: Width C of the bottleneck.
    """

    def __init__(self, embed_dims: int, hidden_dims: int) -> None:
        super().__init__()
        self.down = nn.Linear(embed_dims, hidden_dims)
        self.conv = TemporalConv(hidden_dims)
        self.up = nn.Linear(hidden_dims, embed_dims)
        nn.init.zeros_(self.conv.weight)
        for layer in (self.down, self.conv, self.up):
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, T, 1+N, D)`` to what is added to it: zero for the class
        token."""
        patches = self.up(self.conv(self.down(x[:, :, 1:])))
        return F.pad(patches, (0, 0, 1, 0))


class BlockAdapters(nn.Module):
    """The two adapters that CAST puts into one frozen block (eq. 2 and 6).

    Args:
        embed_dims: Width D of the block.
        ratio: See :class:`Adapter`.
        ffn_scale: Factor s on the feed-forward adapter. The paper writes
            none, its code 0.5.
    """

    def __init__(self,
                 embed_dims: int,
                 ratio: float = 0.25,
                 ffn_scale: float = 0.5) -> None:
        super().__init__()
        self.ffn_scale = ffn_scale
        self.attn = Adapter(embed_dims, ratio)
        self.ffn = Adapter(embed_dims, ratio)

    def attend(self, block: Block, x: Tensor) -> Tensor:
        """``A + ADAP(A)`` with ``A = MHSA(LN(X))``, no residual."""
        a = block.attend(x)
        return a + self.attn(a)

    def feed_forward(self, block: Block, x: Tensor) -> Tuple[Tensor, Tensor]:
        """``FFN(LN(B)) + s * ADAP(LN(B))``, no residual, and ``LN(B)``."""
        out, normed = block.feed_forward(x)
        return out + self.ffn_scale * self.ffn(normed), normed


class NoAdapters(nn.Module):
    """A block as it is, in the form of :class:`BlockAdapters`."""

    def attend(self, block: Block, x: Tensor) -> Tensor:
        """``MHSA(LN(X))``, no residual."""
        return block.attend(x)

    def feed_forward(self, block: Block, x: Tensor) -> Tuple[Tensor, Tensor]:
        """``FFN(LN(B))``, no residual, and ``LN(B)``."""
        return block.feed_forward(x)
