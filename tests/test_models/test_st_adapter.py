from tests.golden import GoldenCase, relative_error
from tests.test_models.peers import golden


def test_golden_output(shared):
    case = GoldenCase(shared / 'golden', 'peer_cases', 'st_adapter_small')
    model = golden(case, 'st_adapter', dict(type='STAdapter', adapter_dims=24))
    logits = model.cls_head(model.backbone(case.clip()))
    assert relative_error(logits, case.outputs['output']) < 1e-4
