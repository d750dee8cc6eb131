"""What every expert offers; the shape legend is in ``attention.py``."""
from typing import List, NamedTuple, Optional, Tuple, Union

import torch
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..checkpoints import is_frozen, mark_frozen
from .layouts import to_map
from .running import HALVES, Parts, Running, hold_in, run_block


class TokenSpec(NamedTuple):
    """What another module must know of a token tensor ``(B, T, P, D)``.

    Attributes:
        embed_dims: Width D.
        num_heads: Heads of the attention that made the tokens.
        num_steps: Time steps T.
        grid: Rows and columns of the N patches of a step.
        num_prefix_tokens: Tokens before the patches: a class token and
            registers, where a model has them.
        modality: The input of the model that the tokens were made of. The
            steps and grids of streams from one input lie over each other,
            those of a clip and of its sound do not.
    """
    embed_dims: int
    num_heads: int
    num_steps: int
    grid: Tuple[int, int]
    num_prefix_tokens: int = 0
    modality: str = 'imgs'

    @property
    def num_patches(self) -> int:
        """Patches N of a step."""
        return self.grid[0] * self.grid[1]

    @property
    def has_class_token(self) -> bool:
        """Whether a class token stands before the patches."""
        return self.num_prefix_tokens > 0


class Expert(Running, BaseModule):
    """A video transformer whose blocks others can step through.

    An expert is also a backbone by itself. Subclasses set

    - ``embedding``: a module, ``clip -> (B, T, P, D)``,
    - ``blocks``: modules with ``attend(x)`` (attention of the normalised
      tokens, no residual) and ``feed_forward(x)`` (MLP of the normalised
      tokens, no residual, and those tokens),
    - ``norm``: the read-out norm, the one part of a frozen expert that is
      trained.

    Args:
        spec: Facts about the tokens.
        num_frames: Frames of the clips that come in.
        img_size: Side of the square frames, pixels.
        init_cfg: As in mmengine.
    """
    # Whether drop path, beside the exchanges, also skips the attention.
    drops_attention = False

    def __init__(self, spec: TokenSpec, num_frames: int, img_size: int,
                 init_cfg: dict = None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.spec = spec
        self.num_frames = num_frames
        self.img_size = img_size
        self.embed_dims = spec.embed_dims
        self.num_heads = spec.num_heads
        self.num_steps = spec.num_steps
        self.grid = spec.grid
        self.modality = spec.modality

    def embed(self, clip: Tensor) -> Tensor:
        """Clip to tokens.

        Args:
            clip: ``(B, 3, num_frames, img_size, img_size)``, normalised.

        Returns:
            ``(B, T, P, D)``.

        Raises:
            ValueError: if the clip has other sizes than the expert.
        """
        self._check_clip(clip)
        return self.embedding(clip)

    @property
    def input_shape(self) -> Tuple[int, ...]:
        """Shape of a sample: ``(3, num_frames, img_size, img_size)``."""
        return 3, self.num_frames, self.img_size, self.img_size

    def _check_clip(self, clip: Tensor) -> None:
        expected = self.input_shape
        if tuple(clip.shape[1:]) != expected:
            raise ValueError(
                f'{type(self).__name__} takes clips of shape (B, '
                f'{", ".join(map(str, expected))}), got '
                f'{tuple(clip.shape)}: make clip_len and the crop size of '
                'the pipeline fit num_frames and img_size of the model')

    def read_out_tokens(self, x: Tensor) -> Tensor:
        """The tokens that :meth:`read_out` looks at: the class tokens where
        there are some, else all. In each step either the first tokens or
        all."""
        return x[:, :, :1] if self.spec.has_class_token else x

    def reads_prefix_only(self, x: Tensor) -> bool:
        """Whether :meth:`read_out` looks at no patch of ``(B, T, P, D)``."""
        read = self.read_out_tokens(x).shape[2]
        return read <= self.spec.num_prefix_tokens < x.shape[2]

    def read_out(self, x: Tensor) -> Tensor:
        """``LN(mean of the read-out tokens)``, ``(B, T, P, D) -> (B, D)``."""
        return self.norm(self.read_out_tokens(x).mean(dim=(1, 2)))

    def patch_map(self, x: Tensor) -> Tensor:
        """``LN(patches)`` as maps, ``(B, T, P, D) -> (B, D, T, h, w)``."""
        patches = x[:, :, self.spec.num_prefix_tokens:]
        return to_map(self.norm(patches), self.grid)

    def forward(self, clip: Tensor) -> Tensor:
        """``(B, 3, F, H, W) -> (B, D)``: the expert alone."""
        x = self.embed(clip)
        for block in self.blocks:
            x = self.run(run_block, block, x)
        return self.read_out(x)

    def freeze(self, dtype: Optional[str] = None) -> None:
        """Freezes all but the read-out norm.

        Args:
            dtype: Type to hold the weights of matrix products in, for
                autocast to the same type; None leaves them.
        """
        if dtype is not None:
            hold_in(self, dtype)
        self.requires_grad_(False)
        self.norm.requires_grad_(True)
        mark_frozen(self)

    def train(self, mode: bool = True) -> 'Expert':
        """A frozen expert stays in evaluation mode."""
        return super().train(mode and not is_frozen(self))

    def parts_to_shard(self) -> Parts:
        """The blocks. Subclasses that reach into theirs state none."""
        return [(block, HALVES) for block in self.blocks]

    def layer_groups(self) -> List[List[nn.Module]]:
        """Embedding, then block by block: for layer-wise learning rates."""
        return [[self.embedding]] + [[block] for block in self.blocks]


def weights_of(pretrained: Union[str, bool, None],
               init_cfg: Optional[dict]) -> Union[str, bool, None]:
    """What an expert loads: its ``pretrained``, or the host's way to say it,
    ``init_cfg=dict(type='Pretrained', checkpoint=...)``.

    Raises:
        ValueError: if ``init_cfg`` says something else, or both are given.
    """
    if init_cfg is None:
        return pretrained
    if not isinstance(init_cfg, dict) or init_cfg.get(
            'type') != 'Pretrained' or set(init_cfg) != {'type', 'checkpoint'}:
        raise ValueError(
            f'init_cfg={init_cfg}: an expert starts at random or from '
            "dict(type='Pretrained', checkpoint=...); prefixes of names are "
            'found without being told')
    if pretrained:
        raise ValueError(f'pretrained={pretrained!r} and init_cfg={init_cfg} '
                         'both name weights: leave one out')
    return init_cfg['checkpoint']


def build_expert(cfg: dict) -> Expert:
    """Builds an expert from its config.

    Raises:
        ValueError: naming the experts there are, if ``type`` is none.
    """
    cls = MODELS.get(cfg['type']) if isinstance(cfg['type'],
                                                str) else cfg['type']
    if cls is None or not issubclass(cls, Expert):
        experts = sorted(
            name for name, module in MODELS.module_dict.items()
            if isinstance(module, type) and issubclass(module, Expert))
        raise ValueError(f'{cfg["type"]!r} is no expert; use one of '
                         f'{", ".join(experts)}')
    return MODELS.build(cfg)


def grid_of(img_size: int, patch_size: int) -> Tuple[int, int]:
    """Rows and columns of patches of a square frame.

    Raises:
        ValueError: if patches do not fill the frame.
    """
    if img_size % patch_size:
        raise ValueError(f'img_size={img_size} is not a multiple of '
                         f'patch_size={patch_size}')
    return (img_size // patch_size, ) * 2


def num_steps(num_frames: int, step: int, name: str) -> int:
    """Time steps of an expert that makes one of every ``step`` frames.

    Raises:
        ValueError: if the frames do not share out evenly.
    """
    if num_frames % step or num_frames < step:
        raise ValueError(f'{name} makes one time step of {step} frames: '
                         f'num_frames={num_frames} is not a multiple of it')
    return num_frames // step
