"""V-JEPA 2's encoder as an expert (arXiv 2506.09985); the shape legend is in
``attention.py``."""
from typing import Optional, Union

import torch
from mmaction.registry import MODELS
from torch import Tensor, nn

from .expert import TokenSpec
from .vit import ARCHS, PatchEmbed, VisionTransformer


class RotaryPositions(nn.Module):
    """Turns queries and keys by their time step, row and column.

    A head's channels are shared out in three equal parts, each of an even
    number; what is left over is not turned. Channels 2i and 2i+1 of a part
    make a pair. As the published weights were trained, the two of a pair
    turn at different speeds: channel j of n at ``10000**-(2 (j mod n/2) /
    n)``.

    Args:
        spec: Facts about the tokens.
    """

    def __init__(self, spec: TokenSpec) -> None:
        super().__init__()
        self.num_heads = spec.num_heads
        head_dims = spec.embed_dims // spec.num_heads
        dims = head_dims // 3 // 2 * 2  # channels n of a part
        if not dims:
            raise ValueError(f'{head_dims} channels a head are too few for '
                             'positions along three axes; 6 are needed')
        rows, cols = spec.grid
        places = torch.meshgrid(
            torch.arange(spec.num_steps),
            torch.arange(rows),
            torch.arange(cols),
            indexing='ij')  # of every token, along each axis
        speeds = 10000**-(torch.arange(dims // 2) / (dims / 2))
        angles = torch.cat(
            [place.flatten(1)[..., None] * speeds.repeat(2)
             for place in places],
            dim=-1)  # (T, N, 3 n)
        angles = nn.functional.pad(angles, (0, head_dims - 3 * dims))
        # One for all heads: (T, N, 1, d).
        self.register_buffer('cos', angles.cos()[:, :, None], persistent=False)
        self.register_buffer('sin', angles.sin()[:, :, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, T, N, D) -> (B, T, N, D)``, in float32 inside."""
        heads = x.unflatten(-1, (self.num_heads, -1))  # (B, T, N, H, d)
        # The left-over channels have sine 0: their pairing does not matter.
        even = heads.shape[-1] // 2 * 2
        pairs = heads[..., :even].unflatten(-1, (-1, 2))
        turned = torch.stack([-pairs[..., 1], pairs[..., 0]], dim=-1)
        turned = nn.functional.pad(
            turned.flatten(-2), (0, heads.shape[-1] - even))
        out = heads * self.cos + turned * self.sin
        return out.flatten(-2).to(x.dtype)


class TokenEmbedding(nn.Module):
    """Tubelets alone: positions come in the attention."""

    def __init__(self, embed_dims: int, patch_size: int,
                 tubelet_size: int) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(embed_dims, patch_size, tubelet_size)

    def forward(self, clip: Tensor) -> Tensor:
        """``(B, 3, F, H, W) -> (B, T, N, D)``."""
        return self.patch_embed(clip)


@MODELS.register_module()
class VJEPA2Expert(VisionTransformer):
    """The encoder of V-JEPA 2: joint attention over all tubelets of a clip,
    rotary positions along time, rows and columns.

    Positions are computed, not learned: any number of frames and any size go
    with any weights, though the published ones saw 64 frames (classifiers 16
    to 64) of 256 or 384 pixels. Frames are normalised with ImageNet's mean
    and deviation.

    Args:
        arch: 'large', 'huge', 'giant' (22 heads, unlike other giants) or a
            dict, see :class:`VisionTransformer`.
        img_size: Side of the frames, pixels.
        patch_size: Side of a patch, pixels.
        num_frames: Frames of the clips.
        tubelet_size: Frames of a tubelet.
        pretrained: A model of transformers, 'hf://facebook/
            vjepa2-vitl-fpc64-256' or its folder, or a file in that layout or
            this package's. None: random.
        drop_path_rate: See :class:`VisionTransformer`.
        init_cfg: As in mmengine.
    """
    window = 'space_time'
    norm_eps = 1e-6
    has_class_token = False
    source = 'vjepa2'
    archs = {**ARCHS, 'giant': dict(ARCHS['giant'], num_heads=22)}

    def __init__(self,
                 arch: Union[str, dict] = 'large',
                 img_size: int = 256,
                 patch_size: int = 16,
                 num_frames: int = 16,
                 tubelet_size: int = 2,
                 pretrained: Optional[str] = None,
                 drop_path_rate: float = 0.,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(arch, img_size, patch_size, num_frames, tubelet_size,
                         nn.GELU, pretrained, drop_path_rate, init_cfg)
        self.tubelet_size = tubelet_size
        self.embedding = TokenEmbedding(self.embed_dims, patch_size,
                                        tubelet_size)

    def make_rotary(self) -> nn.Module:
        return RotaryPositions(self.spec)

    def read_out(self, x: Tensor) -> Tensor:
        """``mean(LN(tokens))``: the norm was trained on single tokens."""
        return self.norm(x).mean(dim=(1, 2))
