"""TimeSformer's five schemes of attention (ICML 2021, arXiv 2102.05095).

The shape legend is in ``attention.py``. The paper's authors published the
first three. What the text leaves open of the last two is decided here:

- every attention after the first in a block is built as theirs of time is: a
  norm, an attention, one more Linear that starts at zero;
- along time, the class token takes no part (as theirs); in the windows on
  the grid it is a key of every patch and reads the whole clip;
- the windows at borders and on odd grids: see
  :class:`~cast_mmaction.models.attention.GridWindow`.
"""
import re
from typing import Dict, Optional, Tuple, Union

import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from torch import Tensor, nn

from ..checkpoints.loading import load_strictly, read_pretrained
from ..checkpoints.rename import StateDict
from .adapters import init_linear
from .attention import GRID_WINDOWS, GridWindow, SelfAttention, Window
from .expert import Expert, TokenSpec, grid_of, num_steps, weights_of
from .vit import Block, PatchEmbed, check_arch

# The windows of a block, one after the other.
SCHEMES: Dict[str, Tuple[str, ...]] = {
    'space': ('space', ),
    'joint': ('clip', ),
    'divided': ('time', 'space'),
    'local_global': ('local', 'dilated'),
    'axial': ('time', 'row', 'column'),
}
NORM_EPS = 1e-6


class SpaceTimeEmbedding(nn.Module):
    """Patches of single frames, a class token, positions in space and, for
    the patches, in time.

    Args:
        embed_dims: Width D.
        patch_size: Side of a patch, pixels.
        num_patches: Patches N of a frame.
        num_steps: Steps T; None for no positions in time.
    """
    no_weight_decay = ('class_token', 'positions', 'time_positions')

    def __init__(self, embed_dims: int, patch_size: int, num_patches: int,
                 num_steps: Optional[int]) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(embed_dims, patch_size)
        self.class_token = nn.Parameter(torch.zeros(embed_dims))
        self.positions = nn.Parameter(torch.zeros(1 + num_patches, embed_dims))
        nn.init.trunc_normal_(self.class_token, std=.02)
        nn.init.trunc_normal_(self.positions, std=.02)
        self.time_positions = None
        if num_steps is not None:
            self.time_positions = nn.Parameter(
                torch.zeros(num_steps, embed_dims))

    def forward(self, frames: Tensor) -> Tensor:
        """``(B, 3, T, H, W) -> (B, T, 1+N, D)``."""
        x = self.patch_embed(frames) + self.positions[1:]
        if self.time_positions is not None:
            x = x + self.time_positions[:, None]
        class_token = (self.class_token + self.positions[0]).to(x.dtype)
        return torch.cat([class_token.expand(*x.shape[:2], 1, -1), x], dim=2)


class AttentionStep(nn.Module):
    """An attention that a block has besides its last one.

    Args:
        embed_dims: Width D.
        num_heads: Heads H.
        window: Its window.
    """

    def __init__(self, embed_dims: int, num_heads: int,
                 window: Window) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(embed_dims, eps=NORM_EPS)
        self.attn = SelfAttention(embed_dims, num_heads, window)
        self.fc = nn.Linear(embed_dims, embed_dims)
        init_linear(self.fc, zero=True)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, T, 1+N, D)`` to what is added to it."""
        if self.attn.window == 'time':
            patches = self.fc(self.attn(self.norm(x[:, :, 1:])))
            return F.pad(patches, (0, 0, 1, 0))
        return self.fc(self.attn(self.norm(x)))


class SpaceTimeBlock(Block):
    """A transformer block with one attention or several.

    Args:
        embed_dims: Width D.
        num_heads: Heads H.
        windows: One for every attention.
        drop_path_rate: Probability that a sample skips an addition.
        mlp_dims: Hidden width of the MLP.
    """

    def __init__(self, embed_dims: int, num_heads: int,
                 windows: Tuple[Window, ...], drop_path_rate: float,
                 mlp_dims: int) -> None:
        super().__init__(embed_dims, num_heads, windows[-1], nn.GELU, NORM_EPS,
                         mlp_dims, drop_path_rate=drop_path_rate)
        self.steps = nn.ModuleList(
            AttentionStep(embed_dims, num_heads, window)
            for window in windows[:-1])
        # Frames attend alone, but the clip has one class token.
        self.share_class_token = bool(self.steps) and windows[-1] == 'space'

    def attend(self, x: Tensor) -> Tensor:
        """What all attentions add to ``(B, T, 1+N, D)``."""
        added = torch.zeros_like(x)
        for step in self.steps:
            added = added + self.drop_path(step(x + added))
        out = self.attn(self.norm1(x + added))
        if self.share_class_token:
            copies = out[:, :, :1]
            mean = copies.mean(dim=1, keepdim=True).expand_as(copies)
            out = torch.cat([mean, out[:, :, 1:]], dim=2)
        return added + self.drop_path(out)


@MODELS.register_module()
class SpaceTimeViT(Expert):
    """TimeSformer, in any of its schemes of attention.

    Tokens are ``(B, T, 1+N, D)``. In all schemes but 'space', the class
    tokens of all steps are copies of one.

    Args:
        scheme: 'space', 'joint', 'divided', 'local_global' or 'axial'.
        arch: 'base', 'large' or ``dict(embed_dims=, num_layers=,
            num_heads=)``.
        img_size: Side of the square frames, pixels.
        patch_size: Side of a patch, pixels.
        num_frames: Frames of the clips.
        frame_stride: Looks at every ``frame_stride``-th frame, the last of
            each group.
        drop_path_rate: Drop path at the last block, growing linearly from 0
            at the first; whole samples are dropped.
        pretrained: A file of a TimeSformer of the same scheme (its authors',
            MMAction2's, this package's), a model of transformers
            ('hf://OWNER/NAME[@REVISION]' or its folder), or of an image ViT
            in the same layout (timm's): then positions in time start at zero,
            and every further attention starts as the one of the image model.
        init_cfg: As in mmengine.
        with_cp, compile: See :class:`Running`.

    Raises:
        ValueError: naming the schemes there are.
    """
    source = 'timesformer'

    def __init__(self,
                 scheme: str = 'divided',
                 arch: Union[str, dict] = 'base',
                 img_size: int = 224,
                 patch_size: int = 16,
                 num_frames: int = 8,
                 frame_stride: int = 1,
                 drop_path_rate: float = 0.,
                 pretrained: Optional[str] = None,
                 init_cfg: Optional[dict] = None,
                 with_cp: bool = False,
                 compile: Union[bool, dict] = False) -> None:
        if scheme not in SCHEMES:
            raise ValueError(f'unknown scheme {scheme!r}; use one of '
                             f'{tuple(SCHEMES)}')
        arch = check_arch(arch)
        dims, depth, heads = (
            arch[key] for key in ('embed_dims', 'num_layers', 'num_heads'))
        steps = num_steps(num_frames, frame_stride, type(self).__name__)
        spec = TokenSpec(
            dims,
            heads,
            steps,
            grid_of(img_size, patch_size),
            num_prefix_tokens=1)
        super().__init__(spec, num_frames, img_size, init_cfg)
        self.set_running(with_cp, compile)
        self.scheme = scheme
        self.patch_size = patch_size
        self.frame_stride = frame_stride
        self.pretrained = weights_of(pretrained, init_cfg)
        self.embedding = SpaceTimeEmbedding(
            dims, patch_size, spec.num_patches,
            None if scheme == 'space' else steps)
        windows = tuple(
            GridWindow(name, self.grid) if name in GRID_WINDOWS else name
            for name in SCHEMES[scheme])
        self.blocks = nn.ModuleList(
            SpaceTimeBlock(dims, heads, windows, drop_path_rate * i /
                           max(depth - 1, 1), arch['mlp_dims'])
            for i in range(depth))
        self.norm = nn.LayerNorm(dims, eps=NORM_EPS)
        for block in self.blocks:
            layers = [block.attn, *(step.attn for step in block.steps)]
            for layer in layers:
                init_linear(layer.qkv)
                init_linear(layer.proj)
            init_linear(block.mlp.fc1)
            init_linear(block.mlp.fc2)

    def embed(self, clip: Tensor) -> Tensor:
        self._check_clip(clip)
        return self.embedding(
            clip[:, :, self.frame_stride - 1::self.frame_stride])

    def init_weights(self) -> None:
        """Loads ``pretrained``, strictly. Runs after construction and before
        a resume, where the runner calls it.

        Raises:
            CheckpointError: naming the file and the keys that do not fit.
        """
        if self.pretrained is not None:
            weights = read_pretrained(self, self.pretrained, 'timesformer')
            load_strictly(self, self.inflate(weights), self.pretrained)

    def inflate(self, state_dict: StateDict) -> StateDict:
        """Adds what the weights of an image model lack: zeros for positions
        in time, and for every further attention a copy of the one there is,
        behind a Linear of zeros."""
        if any('time_positions' in k or '.steps.' in k for k in state_dict):
            return state_dict
        inflated = dict(state_dict)
        for key, value in self.state_dict().items():
            if key.endswith('.time_positions') or '.fc.' in key:
                inflated[key] = torch.zeros_like(value)
            elif '.steps.' in key:
                image_key = re.sub(r'steps\.\d+\.norm', 'norm1', key)
                image_key = re.sub(r'steps\.\d+\.attn', 'attn', image_key)
                if image_key in state_dict:
                    inflated[key] = state_dict[image_key]
        return inflated
