"""The Audio Spectrogram Transformer as an expert; the shape legend is in
``attention.py``.

A spectrogram is one time step ``(B, 1, 2+N, D)``: a class token, a
distillation token and N patches, the lowest mel bins first, along time within
each band of bins.
"""
from typing import Optional, Tuple, Union

import torch
from mmaction.registry import MODELS
from torch import Tensor, nn

from ..checkpoints import (CheckpointError, load_strictly,
                           read_pretrained)
from ..checkpoints.positions import fit_spectrogram
from .expert import Expert, TokenSpec, weights_of
from .vit import Block, check_arch


class SpectrogramPatches(nn.Module):
    """Cuts a spectrogram into overlapping patches and projects each."""

    def __init__(self, embed_dims: int, patch_size: int, stride: int) -> None:
        super().__init__()
        self.projection = nn.Conv2d(1, embed_dims, patch_size, stride)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """``(B, 1, frames, bins) -> (B, N, D)``."""
        x = self.projection(spectrogram.transpose(2, 3))
        return x.flatten(2).transpose(1, 2)


class SpectrogramEmbedding(nn.Module):
    """Patches, two special tokens, learned positions.

    Args:
        embed_dims: Width D.
        patch_size: Side of a patch, mel bins and frames.
        stride: Mel bins, and frames, from patch to patch.
        num_patches: Patches N.
    """
    no_weight_decay = ('class_token', 'distillation_token',
                       'spectrogram_positions')

    def __init__(self, embed_dims: int, patch_size: int, stride: int,
                 num_patches: int) -> None:
        super().__init__()
        self.patch_embed = SpectrogramPatches(embed_dims, patch_size, stride)
        self.class_token = nn.Parameter(.02 * torch.randn(embed_dims))
        self.distillation_token = nn.Parameter(.02 * torch.randn(embed_dims))
        self.spectrogram_positions = nn.Parameter(
            .02 * torch.randn(2 + num_patches, embed_dims))

    def forward(self, spectrogram: Tensor) -> Tensor:
        """``(B, 1, frames, bins) -> (B, 1, 2+N, D)``."""
        x = self.patch_embed(spectrogram)
        special = torch.stack([self.class_token, self.distillation_token])
        special = special.to(x.dtype).expand(x.shape[0], -1, -1)
        x = torch.cat([special, x], dim=1) + self.spectrogram_positions
        return x[:, None]


@MODELS.register_module()
class ASTExpert(Expert):
    """The Audio Spectrogram Transformer (arXiv 2104.01778).

    All patches of a spectrogram see each other. The read-out is the mean of
    the two special tokens after a norm, which stays frozen with the rest.

    Args:
        arch: 'base', 'large' or ``dict(embed_dims=, num_layers=,
            num_heads=)``. The published one is 'base'.
        num_mel_bins: Mel bins of the spectrograms.
        num_frames: Frames of the spectrograms, of 10 ms in AST's own recipe.
        patch_size: Side of a patch, mel bins and frames.
        stride: Mel bins, and frames, from patch to patch.
        pretrained: A file in the authors', Hugging Face's or this package's
            layout. Its positions are cropped around their middle in time, or
            interpolated where it saw fewer frames. None: random.
        init_cfg: As in mmengine.

    Raises:
        ValueError: if a spectrogram is smaller than a patch.
    """
    drops_attention = True
    source = 'ast'

    def __init__(self,
                 arch: Union[str, dict] = 'base',
                 num_mel_bins: int = 128,
                 num_frames: int = 1024,
                 patch_size: int = 16,
                 stride: int = 10,
                 pretrained: Optional[str] = None,
                 init_cfg: Optional[dict] = None) -> None:
        arch = check_arch(arch)
        if min(num_mel_bins, num_frames) < patch_size:
            raise ValueError(
                f'a spectrogram of num_frames={num_frames} and num_mel_bins='
                f'{num_mel_bins} is smaller than a patch of {patch_size}')
        grid = tuple((side - patch_size) // stride + 1
                     for side in (num_mel_bins, num_frames))
        spec = TokenSpec(
            arch['embed_dims'],
            arch['num_heads'],
            num_steps=1,
            grid=grid,
            num_prefix_tokens=2,
            modality='audio')
        super().__init__(spec, num_frames, None, init_cfg)
        self.num_mel_bins = num_mel_bins
        self.patch_size = patch_size
        self.stride = stride
        self.pretrained = weights_of(pretrained, init_cfg)
        self.embedding = SpectrogramEmbedding(self.embed_dims, patch_size,
                                              stride, spec.num_patches)
        # The authors' norms have 1e-6, Hugging Face's 1e-12: no difference.
        self.blocks = nn.ModuleList(
            Block(self.embed_dims, self.num_heads, 'space', nn.GELU, 1e-6)
            for _ in range(arch['num_layers']))
        self.norm = nn.LayerNorm(self.embed_dims, eps=1e-6)

    @property
    def input_shape(self) -> Tuple[int, ...]:
        """Shape of a sample: ``(1, num_frames, num_mel_bins)``."""
        return 1, self.num_frames, self.num_mel_bins

    def _check_clip(self, clip: Tensor) -> None:
        expected = self.input_shape
        if tuple(clip.shape[1:]) != expected:
            raise ValueError(
                f'{type(self).__name__} takes spectrograms of shape (B, '
                f'{", ".join(map(str, expected))}), got {tuple(clip.shape)}: '
                'make the frames and mel bins of the pipeline fit num_frames '
                'and num_mel_bins of the model')

    def read_out_tokens(self, x: Tensor) -> Tensor:
        """The two special tokens."""
        return x[:, :, :2]

    def read_out(self, x: Tensor) -> Tensor:
        """``mean(LN(special tokens))``, ``(B, 1, P, D) -> (B, D)``."""
        return self.norm(self.read_out_tokens(x)).mean(dim=(1, 2))

    def freeze(self, dtype: Optional[str] = None) -> None:
        """Freezes everything; CAVA and CA2ST train no norm here."""
        super().freeze(dtype)
        self.norm.requires_grad_(False)

    def init_weights(self) -> None:
        """Loads ``pretrained``. Runs after construction and before a resume,
        where the runner calls it.

        Raises:
            CheckpointError: naming the file and the keys that do not fit, or
                positions of a spectrogram that cannot be brought to this one.
        """
        if self.pretrained is None:
            return
        weights = read_pretrained(self, self.pretrained, self.source)
        try:
            weights = fit_spectrogram(weights, self.grid)
        except CheckpointError as error:
            raise CheckpointError(f'{self.pretrained}: {error}') from None
        load_strictly(self, weights, self.pretrained)
