"""Positions in seconds, for streams whose steps do not lie over each other;
the shape legend is in ``attention.py``."""
import torch
from torch import Tensor, nn

from .expert import TokenSpec


class TimeCode(nn.Sequential):
    """When a token begins and ends, as a vector.

    Args:
        dims: Width D' of the tokens.
    """

    def __init__(self, dims: int) -> None:
        super().__init__(
            nn.Linear(2, dims), nn.ReLU(), nn.Linear(dims, dims), nn.ReLU(),
            nn.Linear(dims, dims), nn.ReLU(), nn.LayerNorm(dims))

    def forward(self, spans: Tensor) -> Tensor:
        """``(B, T, N, 2)``, seconds from the start of the clip, to
        ``(B, T, N, D')``."""
        return super().forward(spans)


def frame_spans(times: Tensor, spec: TokenSpec) -> Tensor:
    """Begin and end of the tokens of frames.

    Args:
        times: Seconds of all frames, ``(B, F)``.
        spec: Facts about the tokens; F is a multiple of T.

    Returns:
        The times of the first and the last frame of every step, ``(B, T, 1,
        2)``: the same for all its patches.
    """
    groups = times.unflatten(1, (spec.num_steps, -1))  # (B, T, F / T)
    return torch.stack([groups[..., 0], groups[..., -1]], dim=-1)[:, :, None]


def sound_spans(window: Tensor, spec: TokenSpec, parts: int) -> Tensor:
    """Begin and end of the tokens of a spectrogram.

    Args:
        window: Begin and end of the spectrogram in seconds, ``(B, 2)``.
        spec: Facts about the tokens: bands of columns.
        parts: The window is cut into so many; a token has the times of the
            part that the middle of its column lies in.

    Returns:
        ``(B, 1, N, 2)``, in the order of the patches.
    """
    rows, columns = spec.grid
    middles = torch.arange(columns, device=window.device) + .5
    part = (middles * parts / columns).long()  # (columns, )
    begin, end = window.unbind(1)
    edges = begin[:, None] + (end - begin)[:, None] * (
        torch.arange(parts + 1, device=window.device) / parts)
    spans = torch.stack([edges[:, part], edges[:, part + 1]], dim=-1)
    return spans.repeat(1, rows, 1)[:, None]
