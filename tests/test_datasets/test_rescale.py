import numpy as np
from mmaction.registry import TRANSFORMS


def sizes(kind, count=400):
    np.random.seed(0)
    rescale = TRANSFORMS.build(dict(type=kind, scale_range=(16, 32)))
    found = []
    for _ in range(count):
        out = rescale(
            dict(
                imgs=[np.zeros((8, 10, 3), np.uint8)],
                img_shape=(8, 10),
                modality='RGB'))
        assert out['short_edge'] == min(out['imgs'][0].shape[:2])
        found.append(out['short_edge'])
    return np.array(found)


def test_uniform_in_one_over_size():
    inverse, plain = sizes('InverseRandomRescale'), sizes('RandomRescale')
    assert inverse.min() >= 16 and inverse.max() <= 32
    # The mean of 1 / size is the middle of 1 / 32 and 1 / 16.
    assert abs((1 / inverse).mean() * 64 / 3 - 1) < .03
    assert np.median(inverse) < np.median(plain) - 1
