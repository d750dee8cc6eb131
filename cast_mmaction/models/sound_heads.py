"""Heads of CAVA (space and sound) and of CA2ST (space, time and sound).

They take features by the names of the experts, as ``CAST(experts=...)`` gives
them: ``spatial``, ``temporal`` and ``audio``, ``(B, D)`` each. Without
``audio``, or where ``has_audio (B,)`` is False, what is seen decides alone.
"""
from typing import Dict, Sequence, Tuple, Type

from mmaction.registry import MODELS
from torch import Tensor, nn

from .adapters import Adapter, init_linear
from .heads import LinearHead, VerbNounHead
from .vit import MLP, QuickGELU

Features = Dict[str, Tensor]


def _where_heard(x: Tensor, feats: Features) -> Tensor:
    """``(B, D)``, zero for samples without sound."""
    if 'has_audio' not in feats:
        return x
    return x.masked_fill(~feats['has_audio'][:, None], 0)


class CAVAFusion(nn.Module):
    """``spatial + ADAP(spatial) + audio + ADAP(audio)``, at the start the
    plain sum.

    Args:
        dims: Width D of the features.
        adapter_ratio: Bottleneck of the adapters as a share of the width.
    """

    def __init__(self, dims: int, adapter_ratio: float) -> None:
        super().__init__()
        self.spatial_adapter = Adapter(dims, adapter_ratio)
        self.audio_adapter = Adapter(dims, adapter_ratio)

    def forward(self, feats: Features) -> Tensor:
        """Features to ``(B, D)``."""
        seen = feats['spatial']
        fused = seen + self.spatial_adapter(seen)
        if 'audio' in feats:
            heard = feats['audio'] + self.audio_adapter(feats['audio'])
            fused = fused + _where_heard(heard, feats)
        return fused


class CA2STFusion(nn.Module):
    """``ADAP(seen) + ... + MLP(audio)``: as adapters start at zero, at the
    start sound alone, as in the authors' code.

    Args:
        dims: Width D of the features.
        adapter_ratio: Bottleneck of adapters and MLP as a share of the width.
        seen: Names of the features that adapters read.
    """

    def __init__(self,
                 dims: int,
                 adapter_ratio: float,
                 seen: Sequence[str] = ('spatial', 'temporal')) -> None:
        super().__init__()
        self.adapters = nn.ModuleDict(
            {name: Adapter(dims, adapter_ratio)
             for name in seen})
        self.audio_mlp = MLP(dims, int(dims * adapter_ratio), QuickGELU)
        init_linear(self.audio_mlp.fc1)
        init_linear(self.audio_mlp.fc2)

    def forward(self, feats: Features) -> Tensor:
        """Features to ``(B, D)``."""
        fused = sum(
            adapter(feats[name]) for name, adapter in self.adapters.items())
        if 'audio' in feats:
            heard = self.audio_mlp(feats['audio'])
            fused = fused + _where_heard(heard, feats)
        return fused


class FusionHead(LinearHead):
    """One label from features by name: dropout and a Linear on their fusion,
    which a subclass names.

    Args:
        in_channels: Width of the features.
        num_classes: Number of classes.
        adapter_ratio: See the fusion.
        **kwargs: See :class:`LinearHead`.
    """
    fusion_type: Type[nn.Module]  # made from the width and adapter_ratio

    def __init__(self,
                 in_channels: int,
                 num_classes: int,
                 adapter_ratio: float = 0.25,
                 **kwargs) -> None:
        super().__init__(in_channels, num_classes, **kwargs)
        self.fusion = self.fusion_type(in_channels, adapter_ratio)

    def forward(self, feats: Features, **kwargs) -> Tensor:
        """Features by name to ``(B, num_classes)``."""
        return super().forward(self.fusion(feats))


@MODELS.register_module()
class CAVAHead(FusionHead):
    """One label from space and sound: see :class:`FusionHead`."""
    fusion_type = CAVAFusion


@MODELS.register_module()
class CA2STHead(FusionHead):
    """One label from space, time and sound: see :class:`FusionHead`."""
    fusion_type = CA2STFusion


@MODELS.register_module()
class CAVAVerbNounHead(VerbNounHead):
    """Two labels from space and sound, both from one :class:`CAVAFusion`.

    Args:
        in_channels: Width of the features.
        num_verbs: Number of verb classes.
        num_nouns: Number of noun classes.
        adapter_ratio: See :class:`CAVAFusion`.
        **kwargs: See :class:`VerbNounHead`.
    """

    def __init__(self,
                 in_channels: int,
                 num_verbs: int = 97,
                 num_nouns: int = 300,
                 adapter_ratio: float = 0.25,
                 **kwargs) -> None:
        super().__init__(in_channels, num_verbs, num_nouns, **kwargs)
        self.fusion = CAVAFusion(in_channels, adapter_ratio)

    def forward(self, feats: Features, **kwargs) -> Tuple[Tensor, Tensor]:
        """Features by name to ``(verb (B, num_verbs), noun (B, num_nouns))``.
        """
        return super().forward(self.fusion(feats))


@MODELS.register_module()
class CA2STVerbNounHead(VerbNounHead):
    """Two labels: the noun from space and sound, the verb from time and
    sound.

    Args:
        in_channels: Width of the features.
        num_verbs: Number of verb classes.
        num_nouns: Number of noun classes.
        adapter_ratio: See :class:`CA2STFusion`.
        **kwargs: See :class:`VerbNounHead`.
    """

    def __init__(self,
                 in_channels: int,
                 num_verbs: int = 97,
                 num_nouns: int = 300,
                 adapter_ratio: float = 0.25,
                 **kwargs) -> None:
        super().__init__(in_channels, num_verbs, num_nouns, **kwargs)
        self.noun_fusion = CA2STFusion(in_channels, adapter_ratio,
                                       ('spatial', ))
        self.verb_fusion = CA2STFusion(in_channels, adapter_ratio,
                                       ('temporal', ))

    def forward(self, feats: Features, **kwargs) -> Tuple[Tensor, Tensor]:
        """Features by name to ``(verb (B, num_verbs), noun (B, num_nouns))``.
        """
        return super().forward(
            (self.noun_fusion(feats), self.verb_fusion(feats)))
