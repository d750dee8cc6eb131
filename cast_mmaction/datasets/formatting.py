"""The last pipeline step for samples with a verb and a noun."""
from typing import Dict, Optional, Sequence

import torch

from mmaction.datasets import PackActionInputs
from mmaction.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PackVerbNounInputs(PackActionInputs):
    """MMAction2's ``PackActionInputs`` with two labels, by name.

    ``verb`` and ``noun`` (int; both absent in a test split) become
    ``gt_verb`` and ``gt_noun`` of the data sample, LongTensors (1, ).

    Args:
        meta_keys (Sequence[str]): Keys for the sample's metainfo. Defaults to
            ``('narration_id', 'img_shape', 'missing_sound', 'sound')``.
        collect_keys (Sequence[str], optional): Inputs to give by name, as
            models of frames and sound want them. Defaults to None: the
            frames alone.
    """

    def __init__(
        self,
        meta_keys: Sequence[str] = ('narration_id', 'img_shape',
                                    'missing_sound', 'sound'),
        collect_keys: Optional[Sequence[str]] = None,
    ) -> None:
        super().__init__(collect_keys=collect_keys, meta_keys=meta_keys)

    def transform(self, results: Dict) -> Dict:
        """Pack inputs and labels."""
        packed = super().transform(results)
        for task in ('verb', 'noun'):
            if task in results:
                packed['data_samples'].set_field(
                    torch.tensor([results[task]]), f'gt_{task}')
        return packed
