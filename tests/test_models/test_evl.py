import pytest

from tests.golden import GoldenCase, relative_error
from tests.test_models.peers import golden


def test_golden_output(shared):
    case = GoldenCase(shared / 'golden', 'peer_cases', 'evl_small')
    model = golden(
        case, 'evl', dict(type='EVL', num_decoder_layers=3, cross_frame=True))
    logits = model.cls_head(model.backbone(case.clip()))
    assert relative_error(logits, case.outputs['output']) < 1e-4
