"""The golden cases of ``../shared/golden``: weights, inputs and outputs."""
import importlib.util
import json
from pathlib import Path
from typing import Dict, List

import numpy as np
import torch


class GoldenCase:
    """One case: everything but the model.

    Args:
        folder: ``shared/golden``.
        index: File of the cases, 'cast_cases', 'peer_cases' or
            'sound_cases'.
        name: Name of the case.
    """

    def __init__(self, folder: Path, index: str, name: str) -> None:
        spec = importlib.util.spec_from_file_location('recipe',
                                                      folder / 'recipe.py')
        self.recipe = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.recipe)
        cases = json.loads((folder / f'{index}.json').read_text())
        self.case = next(c for c in cases if c['name'] == name)
        self.model = self.case['model']
        self.outputs = np.load(folder / f'{name}.npz')

    def state_dict(self) -> Dict[str, torch.Tensor]:
        """Weights under the reference's names."""
        weights = {
            name: torch.from_numpy(
                self.recipe.make_weight(name, shape, self.case['seed']))
            for name, shape, *_ in self.case['parameters']
        }
        aliases = self.case.get('aliases', {})
        return {**weights, **{k: weights[v] for k, v in aliases.items()}}

    def trained(self) -> List[str]:
        """Names of the parameters that the reference trains (CAST only)."""
        return [name for name, _, trained in self.case['parameters'] if trained]

    def clip(self) -> torch.Tensor:
        """The input, ``(B, 3, F, H, W)``."""
        shape = self.case.get('input') or (self.case['batch'], 3,
                                           self.model['all_frames'], 224, 224)
        return torch.from_numpy(
            self.recipe.make_input(tuple(shape), self.case['seed']))

    def spectrogram(self) -> torch.Tensor:
        """The sound, ``(B, 1, frames, bins)``."""
        return torch.from_numpy(
            self.recipe.make_spectrogram(
                tuple(self.case['spectrogram']), self.case['seed']))


def relative_error(actual: torch.Tensor, expected: np.ndarray) -> float:
    """``|actual - expected| / |expected|`` over the whole tensor."""
    expected = torch.from_numpy(np.asarray(expected)).double()
    actual = actual.detach().double()
    assert actual.shape == expected.shape
    return ((actual - expected).norm() / expected.norm()).item()
