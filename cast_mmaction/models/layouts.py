"""In which form a backbone gives its features, so that heads of the host fit;
the shape legend is in ``attention.py``.

========  ==========================================  =======================
layout    of one stream; of several                   fits
========  ==========================================  =======================
'pair'    a tuple of two ``(B, D)``                   CASTHead, VerbNounHead
'sum'     ``(B, D)``; their sum                       TimeSformerHead,
                                                      LinearHead
'concat'  ``(B, D)``; side by side, ``(B, D + D')``   the same; features per
                                                      clip for BSN and BMN
'map'     ``(B, D, T, h, w)`` of the normalised       I3DHead, heads with RoI
          patches; side by side, ``(B, D + D', T,     extractors
          h, w)``
========  ==========================================  =======================
"""
from typing import List, Optional, Sequence, Tuple, Union

import torch
import torch.nn.functional as F
from torch import Tensor

LAYOUTS = ('pair', 'sum', 'concat', 'map')
Output = Union[Tensor, Tuple[Tensor, ...]]


class LaidOut:
    """Mixin of the backbones whose output can be chosen.

    Attributes:
        out_layout: One of the layouts; None for what the backbone has always
            given.
    """
    out_layout: Optional[str] = None

    def set_layout(self, layout: Optional[str], specs: Sequence) -> None:
        """Takes the option of a config.

        Args:
            layout: See :class:`LaidOut`.
            specs: The :class:`TokenSpec` of every stream.

        Raises:
            ValueError: if there is no such layout, or the streams do not fit
                into it.
        """
        if layout is None:
            return
        if layout not in LAYOUTS:
            raise ValueError(f'out_layout={layout!r}; use one of {LAYOUTS}, '
                             'or leave it out')
        if layout == 'pair' and len(specs) != 2:
            raise ValueError(f"out_layout='pair' is of two streams, here are "
                             f"{len(specs)}; use 'concat'")
        if any(spec.modality != 'imgs' for spec in specs):
            raise ValueError(
                f'out_layout={layout!r} is for streams of frames; sound may '
                'be missing. Leave it out, the features then have names')
        widths = {spec.embed_dims for spec in specs}
        if layout == 'sum' and len(widths) > 1:
            raise ValueError("out_layout='sum' needs streams of one width, "
                             f"got {sorted(widths)}; use 'concat'")
        self.out_layout = layout

    def lay_out(self, streams: Sequence[Tuple[object, Tensor]]) -> Output:
        """Tokens after the last block to the layout.

        Args:
            streams: The expert of every stream and its tokens
                ``(B, T, P, D)``.
        """
        if self.out_layout == 'map':
            return join_maps([x.patch_map(tokens) for x, tokens in streams])
        features = tuple(x.read_out(tokens) for x, tokens in streams)
        return join_features(self.out_layout, features)


def join_features(layout: str, features: Tuple[Tensor, ...]) -> Output:
    """Features ``(B, D)`` of the streams to 'pair', 'sum' or 'concat'."""
    if layout == 'pair':
        return features
    if layout == 'sum':
        return sum(features[1:], features[0])
    return torch.cat(features, dim=1)


def join_maps(maps: List[Tensor]) -> Tensor:
    """Maps ``(B, D, T, h, w)`` of the streams, side by side; those of other
    steps or grids than the first one's are resampled to it."""
    size = maps[0].shape[2:]
    maps = [
        x if x.shape[2:] == size else F.interpolate(
            x, size, mode='trilinear') for x in maps
    ]
    return torch.cat(maps, dim=1)


def to_map(patches: Tensor, grid: Tuple[int, int]) -> Tensor:
    """Patches ``(B, T, N, D)`` to a map ``(B, D, T, h, w)``."""
    return patches.unflatten(2, grid).permute(0, 4, 1, 2, 3)


def widths_of(layout: Optional[str], widths: List[int]) -> List[int]:
    """Widths of what a backbone gives.

    Args:
        layout: Its ``out_layout``.
        widths: Of its streams.
    """
    if layout in ('concat', 'map'):
        return [sum(widths)]
    return widths[:1] if layout == 'sum' else widths
