"""One vision transformer for every expert; the shape legend is in
``attention.py``."""
from typing import Dict, Optional, Tuple, Type, Union

import torch
from mmaction.registry import MODELS
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ..checkpoints import KINDS, load_pretrained
from .attention import SelfAttention, Window
from .expert import Expert, TokenSpec, grid_of, num_steps, weights_of
from .running import DropSamples

ARCHS = {
    'base': dict(embed_dims=768, num_layers=12, num_heads=12),
    'large': dict(embed_dims=1024, num_layers=24, num_heads=16),
    'huge': dict(embed_dims=1280, num_layers=32, num_heads=16),
    'giant': dict(
        embed_dims=1408, num_layers=40, num_heads=16, mlp_dims=6144),
}


class QuickGELU(nn.Module):
    """The GELU of OpenAI's CLIP: ``x * sigmoid(1.702 x)``.

    Written as ``SiLU(c x) / c`` with c = 1.702, whose derivative is that of
    SiLU at ``c x``: one kernel and one kept tensor for the backward pass.
    """

    def forward(self, x: Tensor) -> Tensor:
        return _ScaledSiLU.apply(x)


class _ScaledSiLU(torch.autograd.Function):

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        scaled = 1.702 * x
        ctx.save_for_backward(scaled)
        # In place where no backward pass asks for the product.
        out = nn.functional.silu(scaled, inplace=not x.requires_grad)
        return out.div_(1.702)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> Tensor:
        return torch.ops.aten.silu_backward(grad, *ctx.saved_tensors)


class MLP(nn.Module):
    """Two Linears with an activation, and perhaps a dropout, between."""

    def __init__(self,
                 embed_dims: int,
                 hidden_dims: int,
                 act: Type[nn.Module],
                 dropout: float = 0.) -> None:
        super().__init__()
        self.fc1 = nn.Linear(embed_dims, hidden_dims)
        self.act = act()
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(hidden_dims, embed_dims)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.dropout(self.act(self.fc1(x))))


class Block(nn.Module):
    """Pre-norm transformer block whose two halves can be called alone.

    Args:
        embed_dims: Width D.
        num_heads: Heads H.
        window: Window of the self-attention.
        act: Activation of the MLP.
        norm_eps: Epsilon of both LayerNorms.
        mlp_dims: Hidden width of the MLP; None for 4 D.
        rotary: See :class:`SelfAttention`.
        drop_path_rate: Probability that a sample skips a half of the block.
    """

    def __init__(self,
                 embed_dims: int,
                 num_heads: int,
                 window: Window,
                 act: Type[nn.Module],
                 norm_eps: float,
                 mlp_dims: Optional[int] = None,
                 rotary: Optional[nn.Module] = None,
                 drop_path_rate: float = 0.) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dims, eps=norm_eps)
        self.attn = SelfAttention(embed_dims, num_heads, window, rotary)
        self.norm2 = nn.LayerNorm(embed_dims, eps=norm_eps)
        self.mlp = MLP(embed_dims, mlp_dims or 4 * embed_dims, act)
        self.drop_path = DropSamples(drop_path_rate)

    def attend(self, x: Tensor, window: Optional[Window] = None) -> Tensor:
        """``MHSA(LN(x))``, no residual; another window on request."""
        return self.drop_path(self.attn(self.norm1(x), window))

    def feed_forward(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        """``FFN(LN(x))``, no residual, and ``LN(x)`` for an adapter."""
        normed = self.norm2(x)
        return self.drop_path(self.mlp(normed)), normed

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attend(x)
        return x + self.feed_forward(x)[0]


class PatchEmbed(nn.Module):
    """Cuts a clip into tubelets and projects each.

    The weights are those of a ``Conv3d`` whose stride is its kernel; computed
    as one matrix product, which no backend runs slowly.

    Args:
        embed_dims: Width D.
        patch_size: Side p of a patch, pixels.
        tubelet_size: Frames t of a patch.
        bias: Whether the projection has one.
    """

    def __init__(self,
                 embed_dims: int,
                 patch_size: int,
                 tubelet_size: int = 1,
                 bias: bool = True) -> None:
        super().__init__()
        kernel = (tubelet_size, patch_size, patch_size)
        self.projection = nn.Conv3d(3, embed_dims, kernel, kernel, bias=bias)

    def forward(self, clip: Tensor) -> Tensor:
        """``(B, 3, F, H, W) -> (B, F / t, N, D)``, patches row by row."""
        batch, _, frames, height, width = clip.shape
        t, p, _ = self.projection.kernel_size
        x = clip.reshape(batch, 3, frames // t, t, height // p, p, width // p,
                         p)
        x = x.permute(0, 2, 4, 6, 1, 3, 5, 7)  # (B, T, h, w, 3, t, p, p)
        x = x.flatten(4).flatten(2, 3)  # (B, T, N, 3*t*p*p)
        return nn.functional.linear(x, self.projection.weight.flatten(1),
                                    self.projection.bias)


class CLIPEmbedding(nn.Module):
    """Patches of single frames, a class token, learned positions, a norm."""
    no_weight_decay = ('class_token', 'positions')

    def __init__(self, embed_dims: int, patch_size: int, num_patches: int,
                 norm_eps: float) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(embed_dims, patch_size, bias=False)
        scale = embed_dims**-0.5
        self.class_token = nn.Parameter(scale * torch.randn(embed_dims))
        self.positions = nn.Parameter(
            scale * torch.randn(1 + num_patches, embed_dims))
        self.norm = nn.LayerNorm(embed_dims, eps=norm_eps)

    def forward(self,
                frames: Tensor,
                time_positions: Optional[Tensor] = None) -> Tensor:
        """``(B, 3, T, H, W) -> (B, T, 1+N, D)``; positions in time,
        ``(T, D)``, are added before the norm."""
        x = self.patch_embed(frames)
        class_token = self.class_token.to(x.dtype).expand(
            *x.shape[:2], 1, -1)
        x = torch.cat([class_token, x], dim=2) + self.positions
        if time_positions is not None:
            x = x + time_positions[:, None]
        return self.norm(x)


class TubeletEmbedding(nn.Module):
    """Tubelets plus fixed sine-cosine positions, see ``POSITIONS``."""

    def __init__(self, embed_dims: int, patch_size: int, tubelet_size: int,
                 spec: TokenSpec, positions: str) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(embed_dims, patch_size, tubelet_size)
        self.register_buffer(
            'positions',
            POSITIONS[positions](spec.num_steps, spec.grid, embed_dims),
            persistent=False)

    def forward(self, clip: Tensor) -> Tensor:
        """``(B, 3, F, H, W) -> (B, T, N, D)``."""
        return self.patch_embed(clip) + self.positions


def _angles(length: int, num_waves: int) -> Tensor:
    """Of places 0, 1, ... on waves of periods from 2 pi to 20000 pi,
    ``(length, num_waves)``.

    Raises:
        ValueError: if that is gigabytes, as no model has.
    """
    if length * num_waves > 2**27:
        raise ValueError(f'positions of {length} places and {num_waves} waves')
    wave = torch.arange(num_waves, dtype=torch.float64) / num_waves
    return torch.arange(length, dtype=torch.float64)[:, None] / 10000**wave


def sequence_positions(num_steps: int, grid: Tuple[int, int],
                       embed_dims: int) -> Tensor:
    """Positions of "Attention is all you need", section 3.5, as VideoMAE uses
    them: all T*N tokens are one sequence; even channels sine, odd ones
    cosine. ``(T, N, D)``."""
    num_patches = grid[0] * grid[1]
    angles = _angles(num_steps * num_patches, embed_dims // 2)
    positions = torch.stack([angles.sin(), angles.cos()], dim=-1).float()
    return positions.view(num_steps, num_patches, embed_dims)


def axis_positions(num_steps: int, grid: Tuple[int, int],
                   embed_dims: int) -> Tensor:
    """Positions as MVD uses them: a quarter of the channels for the time
    step, three eighths each for column and row; of each part the first half
    sine, the second cosine. ``(T, N, D)``."""
    if embed_dims % 16:
        raise ValueError("positions='axes' share the width out by sixteenths: "
                         f'{embed_dims} is not divisible by 16')

    def along(length: int, dims: int) -> Tensor:
        angles = _angles(length, dims // 2)
        return torch.cat([angles.sin(), angles.cos()], dim=-1).float()

    rows, cols = grid
    shape = (num_steps, rows, cols, -1)
    parts = (along(num_steps, embed_dims // 4)[:, None, None],
             along(cols, embed_dims * 3 // 8),
             along(rows, embed_dims * 3 // 8)[:, None])
    return torch.cat([part.expand(shape) for part in parts],
                     dim=-1).flatten(1, 2)


POSITIONS = dict(sequence=sequence_positions, axes=axis_positions)


class VisionTransformer(Expert):
    """What the experts built of :class:`Block` share.

    Subclasses set ``self.embedding`` and the class attributes below.

    Args:
        arch: 'base', 'large', 'huge', 'giant' or ``dict(embed_dims=,
            num_layers=, num_heads=)``, perhaps with ``mlp_dims=``, the hidden
            width of the MLPs (else 4 D).
        img_size: Side of the square frames, pixels.
        patch_size: Side of a patch, pixels.
        num_frames: Frames of the clips.
        step: Frames that make one time step; T = num_frames / step.
        act: Activation of the MLPs.
        pretrained: Weights to load in :meth:`init_weights`, strictly.
        drop_path_rate: Drop path at the last block, growing linearly from 0
            at the first, as long as the expert is not frozen.
        init_cfg: As in mmengine.
    """
    window: str
    norm_eps: float
    has_class_token: bool
    source: str  # name of the converter for `pretrained`
    archs = ARCHS

    def __init__(self,
                 arch: Union[str, dict],
                 img_size: int,
                 patch_size: int,
                 num_frames: int,
                 step: int,
                 act: Type[nn.Module],
                 pretrained: Optional[str] = None,
                 drop_path_rate: float = 0.,
                 init_cfg: Optional[dict] = None) -> None:
        arch = check_arch(arch, self.archs)
        spec = TokenSpec(
            arch['embed_dims'],
            arch['num_heads'],
            num_steps(num_frames, step, type(self).__name__),
            grid_of(img_size, patch_size),
            num_prefix_tokens=int(self.has_class_token))
        super().__init__(spec, num_frames, img_size, init_cfg)
        self.patch_size = patch_size
        self.pretrained = weights_of(pretrained, init_cfg)
        depth = arch['num_layers']
        rotary = self.make_rotary()
        self.blocks = nn.ModuleList(
            Block(self.embed_dims, self.num_heads, self.window, act,
                  self.norm_eps, arch['mlp_dims'], rotary,
                  drop_path_rate * i / max(depth - 1, 1))
            for i in range(depth))
        self.norm = nn.LayerNorm(self.embed_dims, eps=self.norm_eps)

    def make_rotary(self) -> Optional[nn.Module]:
        """Rotary positions that all blocks share; None for none."""
        return None

    def init_weights(self) -> None:
        """Loads ``pretrained``. Runs after construction and before a resume,
        where the runner calls it."""
        if self.pretrained is not None:
            load_pretrained(self, self.pretrained, self.source)


@MODELS.register_module()
class CLIPExpert(VisionTransformer):
    """The image encoder of CLIP on single frames.

    Args:
        arch: See :class:`VisionTransformer`. CLIP's L is ``arch='large',
            patch_size=14``.
        img_size: Side of the frames, pixels.
        patch_size: Side of a patch, pixels.
        num_frames: Frames of the clips that come in.
        frame_stride: The expert looks at every ``frame_stride``-th frame, the
            last of each group: 1, 3, 5, ... for 2 (CAST, section 3).
        act: 'quick_gelu' (OpenAI's weights) or 'gelu' (most others).
        pretrained: An open_clip tag such as 'openai', or a file in OpenAI's,
            open_clip's or this package's layout, or a model of transformers:
            'hf://OWNER/NAME[@REVISION]' or its folder. None: random.
        drop_path_rate: See :class:`VisionTransformer`.
        init_cfg: As in mmengine.
    """
    window = 'space'
    norm_eps = 1e-5
    has_class_token = True
    source = 'clip'

    def __init__(self,
                 arch: Union[str, dict] = 'base',
                 img_size: int = 224,
                 patch_size: int = 16,
                 num_frames: int = 16,
                 frame_stride: int = 2,
                 act: str = 'quick_gelu',
                 pretrained: Optional[str] = None,
                 drop_path_rate: float = 0.,
                 init_cfg: Optional[dict] = None) -> None:
        acts = dict(quick_gelu=QuickGELU, gelu=nn.GELU)
        if act not in acts:
            raise ValueError(f'act={act!r}; use one of {sorted(acts)}')
        super().__init__(arch, img_size, patch_size, num_frames, frame_stride,
                         acts[act], pretrained, drop_path_rate, init_cfg)
        self.act = act
        self.frame_stride = frame_stride
        self.embedding = CLIPEmbedding(self.embed_dims, patch_size,
                                       self.spec.num_patches, self.norm_eps)

    def embed(self,
              clip: Tensor,
              time_positions: Optional[Tensor] = None) -> Tensor:
        self._check_clip(clip)
        return self.embedding(
            clip[:, :, self.frame_stride - 1::self.frame_stride],
            time_positions)


@MODELS.register_module()
class VideoMAEExpert(VisionTransformer):
    """The encoder of VideoMAE: joint attention over all tubelets of a clip.

    Args:
        arch: See :class:`VisionTransformer`. VideoMAE V2's g is
            ``arch='giant', patch_size=14``; its distilled B is 'base'.
        img_size: Side of the frames, pixels.
        patch_size: Side of a patch, pixels.
        num_frames: Frames of the clips.
        tubelet_size: Frames of a tubelet.
        pretrained: A file in VideoMAE's layout (pre-training or
            fine-tuning), MMAction2's or this package's, or a model of
            transformers: 'hf://OWNER/NAME[@REVISION]' or its folder. From a
            pre-training file the read-out norm, which it lacks, starts
            fresh. None: random.
        pretrained_kind: 'pre-trained' (without labels) or 'fine-tuned': what
            the file must be, a frozen expert of the other kind is another
            experiment. None takes either.
        pretrained_norm: False leaves the file's read-out norm out, which then
            starts fresh, as in CAST's code.
        positions: Fixed positions, computed for the sizes above: 'sequence'
            for VideoMAE and VideoMAE V2, 'axes' for MVD. Fine-tuned files do
            not tell which they were trained with.
        drop_path_rate: See :class:`VisionTransformer`.
        init_cfg: As in mmengine.
    """
    window = 'space_time'
    norm_eps = 1e-6
    has_class_token = False
    source = 'videomae'

    def __init__(self,
                 arch: Union[str, dict] = 'base',
                 img_size: int = 224,
                 patch_size: int = 16,
                 num_frames: int = 16,
                 tubelet_size: int = 2,
                 pretrained: Optional[str] = None,
                 pretrained_kind: Optional[str] = None,
                 pretrained_norm: bool = True,
                 positions: str = 'sequence',
                 drop_path_rate: float = 0.,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(arch, img_size, patch_size, num_frames, tubelet_size,
                         nn.GELU, pretrained, drop_path_rate, init_cfg)
        if pretrained_kind not in (None, *KINDS):
            raise ValueError(f'pretrained_kind={pretrained_kind!r}; use one '
                             f'of {", ".join(KINDS)} or None')
        self.pretrained_kind = pretrained_kind
        self.pretrained_norm = pretrained_norm
        if positions not in POSITIONS:
            raise ValueError(f'positions={positions!r}; use one of '
                             f'{sorted(POSITIONS)}')
        self.tubelet_size = tubelet_size
        self.embedding = TubeletEmbedding(self.embed_dims, patch_size,
                                          tubelet_size, self.spec, positions)


def check_arch(arch: Union[str, dict], archs: Dict[str, dict] = ARCHS) -> dict:
    """The sizes of a named architecture, or a dict of them, all four.

    Raises:
        ValueError: naming the architectures or the sizes there are.
    """
    if isinstance(arch, str):
        if arch not in archs:
            raise ValueError(f'unknown arch {arch!r}; use one of '
                             f'{sorted(archs)} or a dict of embed_dims, '
                             'num_layers, num_heads')
        arch = archs[arch]
    elif set(arch) - {'mlp_dims'} != {'embed_dims', 'num_layers', 'num_heads'}:
        raise ValueError('arch must have exactly embed_dims, num_layers and '
                         'num_heads, and may have mlp_dims; got '
                         f'{sorted(arch)}')
    return dict(dict(mlp_dims=4 * arch['embed_dims']), **arch)
