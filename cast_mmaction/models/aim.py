"""AIM: CLIP's own attention, reused along time (ICLR 2023, arXiv 2302.03024).

The shape legend is in ``attention.py``.
"""
from typing import Optional, Tuple, Union

import torch
from mmaction.registry import MODELS
from torch import Tensor, nn

from .adapted import Adapted
from .adapters import Adapter
from .running import HALVES, DropSamples, Parts
from .vit import Block, CLIPExpert


class AIMAdapters(nn.Module):
    """What AIM trains in one frozen block.

    Args:
        embed_dims: Width D of the block.
        ratio: See :class:`Adapter`.
        drop_path_rate: Probability that a sample skips the temporal
            adaptation, or the adapter beside the MLP.
        ffn_scale: Factor on the adapter beside the MLP.
        num_temporal: See :class:`AIM`.
    """

    def __init__(self,
                 embed_dims: int,
                 ratio: float = 0.25,
                 drop_path_rate: float = 0.,
                 ffn_scale: float = 0.5,
                 num_temporal: int = 1) -> None:
        super().__init__()
        self.ffn_scale = ffn_scale
        self.temporal_in = Adapter(embed_dims,
                                   ratio) if num_temporal == 2 else None
        self.temporal = Adapter(embed_dims, ratio)
        self.attn = Adapter(embed_dims, ratio)
        self.ffn = Adapter(embed_dims, ratio)
        self.drop_path = DropSamples(drop_path_rate)

    def attend(self, block: Block, x: Tensor) -> Tensor:
        """The frozen attention along time and then over space, without the
        residual: ``R + A + ADAP(A)`` with ``R = ADAP(MHSA_time(LN(X)))`` and
        ``A = MHSA_space(LN(X + R))``. A second temporal adapter stands between
        the norm and the attention: ``MHSA_time(Y + ADAP(Y))``, ``Y = LN(X)``.
        """
        normed = block.norm1(x)
        if self.temporal_in is not None:
            normed = normed + self.temporal_in(normed)
        r = self.drop_path(self.temporal(block.attn(normed, 'time')))
        a = block.attend(x + r)
        return r + a + self.attn(a)

    def feed_forward(self, block: Block, x: Tensor) -> Tuple[Tensor, Tensor]:
        """``FFN(LN(X)) + s * ADAP(LN(X))``, no residual, and ``LN(X)``."""
        out, normed = block.feed_forward(x)
        return out + self.drop_path(self.ffn_scale * self.ffn(normed)), normed


@MODELS.register_module()
class AIM(Adapted):
    """Adapted image model: frozen CLIP with three adapters in every block.

    A backbone for heads that average maps over time, or an expert of CAST,
    whose read-out is then the mean over time.

    Args:
        num_frames: Frames of the clips.
        frame_stride: See :class:`CLIPExpert`.
        adapter_ratio: Bottleneck of the adapters as a share of the width.
        num_temporal_adapters: Adapters around the attention along time: 1
            (behind it, as the paper has it for Kinetics) or 2 (before it, too:
            SSv2, Diving48).
        ffn_adapter_scale: Factor on the adapters beside the MLPs. The paper
            has 0.5 for Kinetics and 1 for SSv2.
        drop_path_rate: Drop path at the last block, growing linearly from 0
            at the first; whole samples are dropped.
        init_cfg: As in mmengine.
        with_cp, compile, frozen_dtype, out_layout: See :class:`Adapted`.
        **clip: ``arch``, ``img_size``, ``patch_size``, ``act`` and
            ``pretrained`` of :class:`CLIPExpert`.

    Raises:
        ValueError: if there are neither one nor two temporal adapters.
    """
    no_weight_decay = ('time_positions', )

    def __init__(self,
                 num_frames: int = 8,
                 frame_stride: int = 1,
                 adapter_ratio: float = 0.25,
                 num_temporal_adapters: int = 1,
                 ffn_adapter_scale: float = 0.5,
                 drop_path_rate: float = 0.,
                 init_cfg: Optional[dict] = None,
                 with_cp: bool = False,
                 compile: Union[bool, dict] = False,
                 frozen_dtype: Optional[str] = None,
                 out_layout: Optional[str] = None,
                 **clip) -> None:
        if num_temporal_adapters not in (1, 2):
            raise ValueError(f'num_temporal_adapters={num_temporal_adapters}; '
                             'use 1 or 2')
        expert = CLIPExpert(
            num_frames=num_frames, frame_stride=frame_stride, **clip)
        last = max(len(expert.blocks) - 1, 1)
        super().__init__(
            expert,
            (AIMAdapters(expert.embed_dims, adapter_ratio,
                         drop_path_rate * i / last, ffn_adapter_scale,
                         num_temporal_adapters)
             for i in range(len(expert.blocks))),
            init_cfg,
            with_cp=with_cp,
            compile=compile,
            frozen_dtype=frozen_dtype,
            out_layout=out_layout)
        self.time_positions = nn.Parameter(
            torch.zeros(self.num_steps, self.embed_dims))

    def embed(self, clip: Tensor) -> Tensor:
        return self.expert.embed(clip, self.time_positions)

    def parts_to_shard(self) -> Parts:
        # The adapters use norm and attention of the blocks.
        return [(layer, HALVES) for layer in self.layers]

    def give(self, x: Tensor) -> Tensor:
        """``(B, T, P, D) -> (B, D, T, 1, 1)``: the normalised class token of
        every frame, as maps that heads average."""
        x = self.expert.norm(x[:, :, 0])  # (B, T, D)
        return x.transpose(1, 2)[..., None, None]

    def read_out(self, x: Tensor) -> Tensor:
        """Mean over time of the normalised class tokens, ``(B, D)``."""
        return self.expert.norm(x[:, :, 0]).mean(dim=1)
