"""Scale jitter of training clips beyond the host's."""
from typing import Dict

import numpy as np

from mmaction.datasets.transforms import RandomRescale, Resize
from mmaction.registry import TRANSFORMS


@TRANSFORMS.register_module()
class InverseRandomRescale(RandomRescale):
    """Scale the short side to a random size, uniform in 1 / size.

    The host's ``RandomRescale`` draws the size itself uniformly: small sizes
    come more often here.

    Required and changed keys, and arguments: as ``RandomRescale``.
    """

    def transform(self, results: Dict) -> Dict:
        """Draw a size, scale all frames."""
        low, high = self.scale_range
        short_edge = round(1 / np.random.uniform(1 / high, 1 / low))
        resize = Resize((-1, short_edge),
                        keep_ratio=True,
                        interpolation=self.interpolation,
                        lazy=False)
        results = resize(results)
        results['short_edge'] = short_edge
        return results
