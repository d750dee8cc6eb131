import pytest

from tests.golden import GoldenCase, relative_error
from tests.test_models.peers import golden


@pytest.mark.parametrize('scheme, name', [('space', 'space_only'),
                                          ('joint', 'joint_space_time'),
                                          ('divided', 'divided_space_time')])
def test_golden_output(shared, scheme, name):
    case = GoldenCase(shared / 'golden', 'peer_cases', f'timesformer_{name}')
    model = golden(case, 'timesformer',
                   dict(type='SpaceTimeViT', scheme=scheme))
    logits = model.cls_head(model.backbone(case.clip()))
    assert relative_error(logits, case.outputs['output']) < 1e-4
