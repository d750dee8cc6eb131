"""EVL: a light decoder reads frozen CLIP (ECCV 2022, arXiv 2208.03550).

The shape legend is in ``attention.py``.
"""
from typing import List, Optional, Tuple, Union

import torch
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..checkpoints import mark_frozen
from .adapters import TemporalConv
from .attention import CrossAttention, attention_weights
from .layouts import LaidOut, join_features, to_map
from .running import Parts, Running, hold_in
from .vit import MLP, Block, CLIPExpert, QuickGELU

Looks = Optional[Tuple[Tensor, Tensor]]


class CrossFrame(nn.Module):
    """Codes where a patch looks in the frame before and in the one after.

    The attention of a frame's queries over its neighbour's keys, averaged
    over the heads, weighs a table with a row for every offset between two
    patches. Frozen queries and keys give the weights; the tables are trained
    and start at zero.

    Args:
        embed_dims: Width D.
        num_heads: Heads H of the encoder.
        grid: Rows h and columns w of patches.
    """
    no_weight_decay = ('previous', 'next')

    def __init__(self, embed_dims: int, num_heads: int, grid: tuple) -> None:
        super().__init__()
        self.num_heads = num_heads
        rows, cols = grid
        offsets = (2 * rows - 1) * (2 * cols - 1)
        self.previous = nn.Parameter(torch.zeros(offsets, embed_dims))
        self.next = nn.Parameter(torch.zeros(offsets, embed_dims))
        i, j = torch.meshgrid(
            torch.arange(rows), torch.arange(cols), indexing='ij')
        i, j = i.flatten(), j.flatten()
        # Row of the table for query (row) and key (column): (N, N).
        offset = (i[:, None] - i + rows - 1) * (2 * cols - 1) + (
            j[:, None] - j + cols - 1)
        self.register_buffer('offset', offset, persistent=False)

    def forward(self, q: Tensor, k: Tensor) -> Tensor:
        """Patches' queries and keys, ``(B, T, N, D)``, to what is added to
        the tokens of the patches, ``(B, T, N, D)``."""
        code = torch.zeros_like(q)
        code[:, 1:] += self.spread(q[:, 1:], k[:, :-1]) @ self.previous
        code[:, :-1] += self.spread(q[:, :-1], k[:, 1:]) @ self.next
        return code

    @torch.no_grad()
    def spread(self, q: Tensor, k: Tensor) -> Tensor:
        """Attention by offset, ``(B, T', N, offsets)``: a query has every
        offset at most once, so nothing of the size (N, N, D) is needed."""

        def heads(x: Tensor) -> Tensor:  # -> (B*T', H, N, d)
            x = x.flatten(0, 1)
            return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

        weights = attention_weights(heads(q), heads(k)).mean(dim=1)
        spread = weights.new_zeros(*weights.shape[:2], len(self.next))
        spread.scatter_(2, self.offset.expand_as(weights), weights)
        return spread.unflatten(0, q.shape[:2])


class DecoderLayer(nn.Module):
    """One reading of the frozen tokens by the query.

    Args:
        expert: The encoder, for its sizes.
        temporal_conv: See :class:`EVL`.
        temporal_positions: See :class:`EVL`.
        cross_frame: See :class:`EVL`.
        dropout: Dropout inside the MLP.
    """
    no_weight_decay = ('time_positions', )

    def __init__(self, expert: CLIPExpert, temporal_conv: bool,
                 temporal_positions: bool, cross_frame: bool,
                 dropout: float) -> None:
        super().__init__()
        dims, heads = expert.embed_dims, expert.num_heads
        self.conv = TemporalConv(dims) if temporal_conv else None
        self.time_positions = nn.Parameter(torch.zeros(
            expert.num_steps, dims)) if temporal_positions else None
        self.cross_frame = CrossFrame(dims, heads,
                                      expert.grid) if cross_frame else None
        self.norm1 = nn.LayerNorm(dims, eps=expert.norm_eps)
        self.norm3 = nn.LayerNorm(dims, eps=expert.norm_eps)
        self.attn = CrossAttention(dims, heads, 'space_time')
        self.norm2 = nn.LayerNorm(dims, eps=expert.norm_eps)
        self.mlp = MLP(dims, 4 * dims, QuickGELU, dropout)
        keys_and_values = self.attn.kv.weight.data.chunk(2)
        for weight in (self.attn.q.weight, *keys_and_values,
                       self.attn.proj.weight, self.mlp.fc1.weight,
                       self.mlp.fc2.weight):
            nn.init.xavier_uniform_(weight)
        for module in (self.attn.q, self.attn.kv, self.attn.proj,
                       self.mlp.fc1, self.mlp.fc2):
            nn.init.zeros_(module.bias)

    def forward(self, query: Tensor, x: Tensor, looks: Looks) -> Tensor:
        """Updates the query.

        Args:
            query: ``(B, 1, 1, D)``.
            x: Tokens after a block of the encoder, ``(B, T, 1+N, D)``.
            looks: Queries and keys of that block's attention, each of the
                shape of ``x``; needed for the cross-frame code alone.

        Returns:
            ``(B, 1, 1, D)``.
        """
        tokens = x
        if self.conv is not None:
            tokens = tokens + self.conv(x)
        if self.time_positions is not None:
            tokens = tokens + self.time_positions[:, None]
        if self.cross_frame is not None:
            code = self.cross_frame(*(part[:, :, 1:] for part in looks))
            tokens = tokens + nn.functional.pad(code, (0, 0, 1, 0))
        # Evaluation makes keys and values: its multiply-adds are published.
        attn = self.attn.read_with_one if self.training else self.attn
        query = query + attn(self.norm1(query), self.norm3(tokens))
        return query + self.mlp(self.norm2(query))


@MODELS.register_module()
class EVL(LaidOut, Running, BaseModule):
    """Efficient video learning: one query reads the last blocks of CLIP.

    No gradient goes through the encoder and none of its activations is kept.

    Args:
        num_frames: Frames of the clips.
        num_decoder_layers: How many of the last blocks are read, L.
        temporal_conv: Add a depth-wise convolution over three frames.
        temporal_positions: Add learned positions of the frames.
        cross_frame: Add the code of the attention between neighbouring
            frames. Released weights have it; which of the published sizes
            are those without is open, see ``configs/evl/README.md``.
        dropout: Dropout inside the decoder's MLPs.
        frozen: False trains the encoder too: the end-to-end training that
            the paper compares with.
        init_cfg: As in mmengine.
        with_cp, compile: See :class:`Running`.
        frozen_dtype: Hold the large weights of the frozen encoder as
            'bfloat16' or 'float16', under autocast to the same type.
        out_layout: See ``layouts.py``; None for the query, ``(B, D)``. A map
            is of the last block's patches, to each of which the query has
            been added.
        **clip: ``arch``, ``img_size``, ``patch_size``, ``act`` and
            ``pretrained`` of :class:`CLIPExpert`.

    Raises:
        RuntimeError: on running with ``frozen_dtype`` outside autocast.
        ValueError: if the decoder is deeper than the encoder, there is no
            such layout, or ``frozen_dtype`` is for an encoder that is
            trained.
    """
    no_weight_decay = ('query', )

    def __init__(self,
                 num_frames: int = 8,
                 num_decoder_layers: int = 4,
                 temporal_conv: bool = True,
                 temporal_positions: bool = True,
                 cross_frame: bool = False,
                 dropout: float = 0.5,
                 frozen: bool = True,
                 init_cfg: Optional[dict] = None,
                 with_cp: bool = False,
                 compile: Union[bool, dict] = False,
                 frozen_dtype: Optional[str] = None,
                 out_layout: Optional[str] = None,
                 **clip) -> None:
        super().__init__(init_cfg=init_cfg)
        self.expert = CLIPExpert(num_frames=num_frames, frame_stride=1, **clip)
        self.set_layout(out_layout, [self.expert.spec])
        depth = len(self.expert.blocks)
        if not 1 <= num_decoder_layers <= depth:
            raise ValueError(f'num_decoder_layers={num_decoder_layers}: the '
                             f'encoder has {depth} blocks to read')
        self.layers = nn.ModuleList(
            DecoderLayer(self.expert, temporal_conv, temporal_positions,
                         cross_frame, dropout)
            for _ in range(num_decoder_layers))
        self.query = nn.Parameter(torch.zeros(self.expert.embed_dims))
        self.norm = nn.LayerNorm(
            self.expert.embed_dims, eps=self.expert.norm_eps)
        self.cross_frame = cross_frame
        self.frozen = frozen
        self.set_running(with_cp, compile, frozen_dtype)
        if frozen_dtype is not None:
            if not frozen:
                raise ValueError(f'frozen_dtype={frozen_dtype!r} is for a '
                                 'frozen encoder; leave it out to train it')
            hold_in(self.expert, frozen_dtype)
        # CLIP's read-out norm is never used.
        self.expert.requires_grad_(not frozen)
        self.expert.norm.requires_grad_(False)
        if frozen:
            mark_frozen(self.expert)

    def forward(self, clip: Tensor) -> Tensor:
        """``(B, 3, F, H, W) -> (B, D)``: the query, normalised; a map is
        ``(B, D, T, h, w)``."""
        self.check_precision(clip.device.type)
        query = self.query.expand(clip.shape[0], 1, 1, -1)
        skipped = len(self.expert.blocks) - len(self.layers)
        with torch.set_grad_enabled(self._grad_in_encoder()):
            x = self.expert.embed(clip)
        for i, block in enumerate(self.expert.blocks):
            with torch.set_grad_enabled(self._grad_in_encoder()):
                x, looks = self.run(_encode, block, x,
                                    i >= skipped and self.cross_frame)
            if i >= skipped:
                query = self.run(_read, self.layers[i - skipped], query, x,
                                 looks)
        if self.out_layout == 'map':
            return to_map(self.norm(x[:, :, 1:] + query), self.expert.grid)
        feature = self.norm(query[:, 0, 0])
        return join_features(self.out_layout or 'sum', (feature, ))

    def _grad_in_encoder(self) -> bool:
        return torch.is_grad_enabled() and not self.frozen

    def parts_to_shard(self) -> Parts:
        # The blocks are taken apart for their queries and keys.
        return [(layer, ()) for layer in self.layers]

    def layer_groups(self) -> List[List[nn.Module]]:
        """Embedding, then block by block, for layer-wise learning rates. What
        a block's reader trains goes with the block."""
        groups = self.expert.layer_groups()
        for group, layer in zip(groups[-len(self.layers):], self.layers):
            group.append(layer)
        return groups


def _encode(block: Block, x: Tensor, looking: bool) -> Tuple[Tensor, Looks]:
    """One block, and its queries and keys if a code is made of them: kept
    longer they would only take memory."""
    q, k, v = block.attn.project(block.norm1(x))
    x = x + block.attn.mix(q, k, v)
    looks = (q, k) if looking else None
    del q, k, v
    return x + block.feed_forward(x)[0], looks


def _read(layer: DecoderLayer, query: Tensor, x: Tensor,
          looks: Looks) -> Tensor:
    return layer(query, x, looks)
