"""ST-Adapter: depth-wise convolutions along time inside frozen CLIP (NeurIPS
2022, arXiv 2206.13559).

The shape legend is in ``attention.py``.
"""
from typing import Optional, Sequence, Tuple, Union

from mmaction.registry import MODELS
from torch import Tensor, nn

from .adapted import Adapted
from .adapters import SpaceTimeAdapter
from .vit import Block, CLIPExpert

PLACES = ('attn', 'ffn')


class SpaceTimeAdapters(nn.Module):
    """What ST-Adapter trains in one frozen block.

    Args:
        embed_dims: Width D of the block.
        hidden_dims: Width of the bottlenecks.
        places: See :class:`STAdapter`.
    """

    def __init__(self, embed_dims: int, hidden_dims: int,
                 places: Sequence[str]) -> None:
        super().__init__()

        def adapter(place: str) -> Optional[SpaceTimeAdapter]:
            if place in places:
                return SpaceTimeAdapter(embed_dims, hidden_dims)
            return None

        self.attn, self.ffn = adapter('attn'), adapter('ffn')

    def attend(self, block: Block, x: Tensor) -> Tensor:
        """``R + MHSA(LN(X + R))`` with ``R = ADAP(X)``, no residual."""
        if self.attn is None:
            return block.attend(x)
        r = self.attn(x)
        return r + block.attend(x + r)

    def feed_forward(self, block: Block, x: Tensor) -> Tuple[Tensor, Tensor]:
        """``R + FFN(LN(X + R))``, no residual, and ``LN(X + R)``."""
        if self.ffn is None:
            return block.feed_forward(x)
        r = self.ffn(x)
        out, normed = block.feed_forward(x + r)
        return r + out, normed


@MODELS.register_module()
class STAdapter(Adapted):
    """Frozen CLIP with spatio-temporal adapters before attention and MLP.

    Args:
        num_frames: Frames of the clips.
        frame_stride: See :class:`CLIPExpert`.
        adapter_dims: Width of the bottlenecks.
        places: Where every block gets an adapter: 'attn' (before the
            attention), 'ffn' (before the MLP). The paper has both for SSv2
            and 'ffn' alone for Kinetics-400.
        init_cfg: As in mmengine.
        with_cp, compile, frozen_dtype, out_layout: See :class:`Adapted`.
        **clip: ``arch``, ``img_size``, ``patch_size``, ``act`` and
            ``pretrained`` of :class:`CLIPExpert`.

    Raises:
        ValueError: if there is no such place.
    """

    def __init__(self,
                 num_frames: int = 8,
                 frame_stride: int = 1,
                 adapter_dims: int = 384,
                 places: Sequence[str] = PLACES,
                 init_cfg: Optional[dict] = None,
                 with_cp: bool = False,
                 compile: Union[bool, dict] = False,
                 frozen_dtype: Optional[str] = None,
                 out_layout: Optional[str] = None,
                 **clip) -> None:
        if not places or not set(places) <= set(PLACES):
            raise ValueError(f'places={places!r}; give one or both of '
                             f'{PLACES}')
        expert = CLIPExpert(
            num_frames=num_frames, frame_stride=frame_stride, **clip)
        super().__init__(
            expert,
            (SpaceTimeAdapters(expert.embed_dims, adapter_dims, places)
             for _ in expert.blocks),
            init_cfg,
            with_cp=with_cp,
            compile=compile,
            frozen_dtype=frozen_dtype,
            out_layout=out_layout)

    def freeze(self, dtype: Optional[str] = None) -> None:
        """Only the adapters are trained, as the paper has it."""
        super().freeze(dtype)
        self.expert.norm.requires_grad_(False)
