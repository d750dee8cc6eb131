"""The probe of V-JEPA (arXiv 2404.08471, 2506.09985): a few trained layers on
an expert's tokens; the shape legend is in ``attention.py``."""
from typing import Dict, Optional, Tuple

import torch
from mmaction.registry import MODELS
from mmaction.utils import OptSampleList
from mmengine.model import BaseModule
from torch import Tensor, nn

from .adapters import init_linear
from .attention import attention, check_heads
from .expert import build_expert
from .vit import MLP, Block

NORM_EPS = 1e-6


@MODELS.register_module()
class ExpertTokens(BaseModule):
    """An expert as a backbone that gives all its tokens, normalised.

    Args:
        expert: Config of the expert.
        frozen: Keep the whole expert, its read-out norm too, as it is and
            compute no gradient in it. False trains it.
        init_cfg: As in mmengine.
    """

    def __init__(self,
                 expert: dict,
                 frozen: bool = True,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.expert = build_expert(expert)
        self.frozen = frozen
        if frozen:
            self.expert.freeze()
            self.expert.requires_grad_(False)

    def train(self, mode: bool = True) -> 'ExpertTokens':
        """A frozen expert stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.expert.eval()
        return self

    def forward(self, clip: Tensor) -> Tensor:
        """``(B, 3, F, H, W) -> (B, T, P, D)``."""
        with torch.set_grad_enabled(torch.is_grad_enabled()
                                    and not self.frozen):
            x = self.expert.embed(clip)
            for block in self.expert.blocks:
                x = block(x)
            return self.expert.norm(x)

    def layer_groups(self) -> list:
        """Those of the expert, for layer-wise learning rates."""
        return self.expert.layer_groups()


class QueryBlock(nn.Module):
    """A learned query reads all tokens: cross-attention without a projection
    behind it, then an MLP.

    Args:
        embed_dims: Width D.
        num_heads: Heads H.
    """

    def __init__(self, embed_dims: int, num_heads: int) -> None:
        super().__init__()
        check_heads(embed_dims, num_heads)
        self.num_heads = num_heads
        self.norm1 = nn.LayerNorm(embed_dims, eps=NORM_EPS)
        self.q = nn.Linear(embed_dims, embed_dims)
        self.kv = nn.Linear(embed_dims, 2 * embed_dims)
        self.norm2 = nn.LayerNorm(embed_dims, eps=NORM_EPS)
        self.mlp = MLP(embed_dims, 4 * embed_dims, nn.GELU)

    def forward(self, query: Tensor, x: Tensor) -> Tensor:
        """``query (B, 1, 1, D)`` reads ``x (B, T, P, D)``."""
        k, v = self.kv(self.norm1(x)).chunk(2, dim=-1)
        query = query + attention(
            self.q(query), k, v, self.num_heads, 'space_time')
        return query + self.mlp(self.norm2(query))


@MODELS.register_module()
class AttentivePool(BaseModule):
    """A neck that makes one feature of all tokens: self-attention layers,
    then a learned query that reads them. Any head of one feature follows.

    Args:
        in_channels: Width D of the tokens.
        num_heads: Heads H.
        num_layers: Self-attention layers before the query; the published
            classifiers of V-JEPA 2 have 3.
        init_cfg: As in mmengine.
    """

    def __init__(self,
                 in_channels: int,
                 num_heads: int = 16,
                 num_layers: int = 3,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.query = nn.Parameter(torch.zeros(in_channels))
        nn.init.trunc_normal_(self.query, std=.02)
        self.blocks = nn.ModuleList(
            Block(in_channels, num_heads, 'space_time', nn.GELU, NORM_EPS)
            for _ in range(num_layers))
        self.read = QueryBlock(in_channels, num_heads)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                init_linear(module)

    def forward(self,
                x: Tensor,
                data_samples: OptSampleList = None) -> Tuple[Tensor, Dict]:
        """``(B, T, P, D) -> (B, D)``, and the losses of the neck: none."""
        for block in self.blocks:
            x = block(x)
        query = self.query.to(x.dtype).expand(x.shape[0], 1, 1, -1)
        return self.read(query, x)[:, 0, 0], dict()
