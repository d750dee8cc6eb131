from tests.golden import GoldenCase, relative_error
from tests.test_models.peers import golden


def test_golden_output(shared):
    case = GoldenCase(shared / 'golden', 'peer_cases', 'aim_small')
    model = golden(case, 'aim', dict(type='AIM'))
    feature = model.backbone(case.clip())
    assert relative_error(feature, case.outputs['output']) < 1e-4
