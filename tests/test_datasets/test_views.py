import json

import numpy as np
import pytest

from cast_mmaction.datasets.views import ShortSideResize, ThreeViewCrop


def frames_of(height, width, count=2):
    ramp = np.arange(height * width * 3, dtype=np.int64) % 251
    frame = ramp.reshape(height, width, 3).astype(np.uint8)
    return dict(imgs=[frame] * count, img_shape=(height, width))


def test_sizes_and_crops_match_the_golden_ones(shared):
    golden = json.loads((shared / 'golden/test_views.json').read_text())
    for size, expected in golden['crops_224'].items():
        height, width = map(int, size.split('x'))
        results = ShortSideResize(224)(frames_of(height, width))
        assert list(results['img_shape']) == expected['resized']
        frame = results['imgs'][0]
        assert list(frame.shape[:2]) == expected['resized']
        assert results['imgs'][1] is frame
        crops = ThreeViewCrop(224)(results)['imgs']
        assert len(crops) == 6
        for start, crop in zip(expected['starts'], crops[::2]):
            stop = start + 224
            if expected['axis'] == 'x':
                np.testing.assert_array_equal(crop, frame[:, start:stop])
            else:
                np.testing.assert_array_equal(crop, frame[start:stop])


def test_too_small_frames_are_an_error():
    with pytest.raises(ValueError, match='200 x 300.*224'):
        ThreeViewCrop(224)(frames_of(200, 300))
