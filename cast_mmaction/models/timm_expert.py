"""Vision transformers of timm as experts; the shape legend is in
``attention.py``."""
from difflib import get_close_matches
from typing import Optional, Tuple, Union

import timm
from mmaction.registry import MODELS
from mmengine.logging import MMLogger
from timm.models import eva, vision_transformer
from torch import Tensor, nn

from ..checkpoints import load_strictly, read_state_dict
from ..checkpoints.hugging_face_files import is_repository, read_repository
from .expert import Expert, TokenSpec, num_steps, weights_of

# timm's files of plain vision transformers.
FAMILIES = dict(vision_transformer=vision_transformer, eva=eva)
BLOCKS = (vision_transformer.Block, eva.EvaBlock)


class TimmBlock(nn.Module):
    """A pre-norm block of timm whose two halves can be called alone.

    Every frame is a sequence of its own: the window is 'space'.

    Args:
        block: The block.
        rope: Rotary positions of its attention, if it has any.
        grid: Rows and columns of patches.
    """

    def __init__(self, block: nn.Module, rope: Optional[nn.Module],
                 grid: Tuple[int, int]) -> None:
        super().__init__()
        self.block = block
        self.rope = rope
        self.grid = grid

    def attend(self, x: Tensor) -> Tensor:
        """``scale * MHSA(LN(x))``, no residual; ``(B, T, P, D)``."""
        options = {}
        if self.rope is not None:
            options['rope'] = self.rope.get_embed(shape=self.grid)
        normed = self.block.norm1(x).flatten(0, 1)  # (B*T, P, D)
        out = self.block.attn(normed, **options).unflatten(0, x.shape[:2])
        return self.block.drop_path1(_scale(self.block, 1, out))

    def feed_forward(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        """``scale * MLP(LN(x))``, no residual, and ``LN(x)``."""
        normed = self.block.norm2(x)
        out = _scale(self.block, 2, self.block.mlp(normed))
        return self.block.drop_path2(out), normed

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attend(x)
        return x + self.feed_forward(x)[0]


@MODELS.register_module()
class TimmExpert(Expert):
    """A plain vision transformer of timm on single frames.

    timm's own modules do the work: IN-21K and DINO ViTs, CLIP of OpenAI and
    open_clip, SigLIP and SigLIP 2, EVA-CLIP, DINOv2, DINOv3, ... Registers
    and class tokens stand before the patches. The read-out is timm's pooling
    (class token, mean of the patches, or attention), averaged over time.

    Args:
        model_name: Name in timm, with the tag of its weights where there are
            several: 'vit_base_patch16_224.augreg_in21k',
            'eva02_base_patch16_clip_224.merged2b', ...
        img_size: Side of the frames, pixels. Pre-trained positions are
            resampled to it.
        num_frames: Frames of the clips that come in.
        frame_stride: The expert looks at every ``frame_stride``-th frame, the
            last of each group.
        pretrained: True for the weights that timm knows by this name, or a
            file in any layout that timm reads for it, or its repository on
            the hub, 'hf://timm/NAME[@REVISION]'. None: random.
        model_kwargs: More arguments of ``timm.create_model``, for instance
            ``dict(global_pool='token')``.
        init_cfg: As in mmengine.

    Raises:
        ValueError: if timm has no such model, or it is no plain pre-norm
            vision transformer.
    """

    def __init__(self,
                 model_name: str,
                 img_size: int = 224,
                 num_frames: int = 16,
                 frame_stride: int = 2,
                 pretrained: Union[bool, str, None] = None,
                 model_kwargs: Optional[dict] = None,
                 init_cfg: Optional[dict] = None) -> None:
        self.model_name = model_name
        self.model_kwargs = dict(
            model_kwargs or {}, img_size=img_size, num_classes=0)
        _check_name(model_name)
        model = self._create()
        if not isinstance(model.blocks[0], BLOCKS):
            raise ValueError(
                f'{model_name} has blocks of the kind '
                f'{type(model.blocks[0]).__name__}; an expert needs pre-norm '
                'blocks whose attention and MLP follow each other')
        grid = tuple(model.patch_embed.grid_size)
        spec = TokenSpec(
            model.embed_dim,
            model.blocks[0].attn.num_heads,
            num_steps(num_frames, frame_stride, type(self).__name__),
            grid,
            num_prefix_tokens=model.num_prefix_tokens)
        super().__init__(spec, num_frames, img_size, init_cfg)
        self.frame_stride = frame_stride
        self.pretrained = weights_of(pretrained, init_cfg)
        # Pooled first: the class token, or where timm has a norm for that.
        self.norm_last = (
            model.global_pool == 'token'
            or not isinstance(model.fc_norm, nn.Identity))
        self.embedding, self.blocks, self.norm = _take_apart(model, grid)

    def _create(self, pretrained: bool = False) -> nn.Module:
        return timm.create_model(
            self.model_name, pretrained=pretrained, **self.model_kwargs)

    def embed(self, clip: Tensor) -> Tensor:
        self._check_clip(clip)
        frames = clip[:, :, self.frame_stride - 1::self.frame_stride]
        frames = frames.transpose(1, 2)  # (B, T, 3, H, W)
        x = self.embedding.forward_features(frames.flatten(0, 1))
        return x.unflatten(0, frames.shape[:2])

    def read_out_tokens(self, x: Tensor) -> Tensor:
        """The class tokens if the pooling takes them, else all."""
        return x[:, :, :1] if self.embedding.global_pool == 'token' else x

    def read_out(self, x: Tensor) -> Tensor:
        """timm's pooled feature, averaged over time; ``(B, D)``."""
        x = x if self.norm_last else self.norm(x)
        x = self.embedding.pool(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        x = x.mean(dim=1)
        return self.norm(x) if self.norm_last else x

    def init_weights(self) -> None:
        """Loads ``pretrained``, strictly. Runs after construction and before
        a resume, where the runner calls it.

        Raises:
            CheckpointError: naming the file and the keys that do not fit.
        """
        if not self.pretrained:
            return
        model = self._create(pretrained=self.pretrained is True)
        if self.pretrained is not True:
            _load_file(model, self.pretrained)
        parts = zip(('embedding', 'blocks', 'norm'),
                    _take_apart(model, self.grid))
        self.load_state_dict({
            f'{name}.{key}': value
            for name, part in parts for key, value in part.state_dict().items()
        })
        source = 'timm' if self.pretrained is True else self.pretrained
        MMLogger.get_current_instance().info(
            f'TimmExpert: loaded {self.model_name} from {source}')


def _check_name(model_name: str) -> None:
    name = model_name.split('.')[0]
    if not timm.is_model(name):
        near = get_close_matches(name, timm.list_models(), n=5)
        raise ValueError(f'timm has no model {name!r}; near names: '
                         f'{", ".join(near) or "none"}')
    if not timm.models.is_model_in_modules(name, set(FAMILIES)):
        raise ValueError(
            f'{name} is no plain vision transformer; use a model of '
            f'{" or ".join(f"timm.models.{name}" for name in FAMILIES)}')


def _take_apart(
        model: nn.Module,
        grid: Tuple[int, int]) -> Tuple[nn.Module, nn.ModuleList, nn.Module]:
    """Embedding, blocks and read-out norm of a model of timm.

    The embedding is what is left of the model: its ``forward_features`` then
    stops before the first block.
    """
    rope = getattr(model, 'rope', None)
    blocks = nn.ModuleList(TimmBlock(b, rope, grid) for b in model.blocks)
    model.blocks = type(model.blocks)()
    if isinstance(model.fc_norm, nn.Identity):
        norm, model.norm = model.norm, nn.Identity()
    else:
        norm, model.fc_norm = model.fc_norm, nn.Identity()
    # timm's method becomes the tuple that the optimizer's groups expect.
    model.no_weight_decay = tuple(sorted(model.no_weight_decay()))
    return model, blocks, norm


def _scale(block: nn.Module, half: int, out: Tensor) -> Tensor:
    """Layer scale of one half; the two families name it differently."""
    if isinstance(block, vision_transformer.Block):
        return getattr(block, f'ls{half}')(out)
    gamma = getattr(block, f'gamma_{half}')
    return out if gamma is None else gamma * out


def _load_file(model: nn.Module, path: str) -> None:
    family = FAMILIES[type(model).__module__.split('.')[-1]]
    state_dict = read_repository(path)[1] if is_repository(
        path) else read_state_dict(path)
    state_dict = family.checkpoint_filter_fn(state_dict, model)
    state_dict = {
        key: value
        for key, value in state_dict.items()
        if not key.startswith(('head.', 'head_dist.'))
    }
    load_strictly(model, state_dict, path)
