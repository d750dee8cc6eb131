import pytest
import torch
import torch.nn.functional as F
from torch.autograd.graph import saved_tensors_hooks

import cast_mmaction  # noqa: F401
from cast_mmaction.models.adapters import gelu_linear


def gradients(function, half):
    torch.manual_seed(0)
    layer = torch.nn.Linear(6, 4)
    x = torch.randn(2, 3, 5, 6, requires_grad=True)
    kept = []

    def keep(tensor):
        kept.append(tensor)
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        with torch.autocast('cpu', torch.bfloat16, enabled=half):
            out = function(x * 2, layer)
    out.float().square().sum().backward()
    sizes = [tuple(tensor.shape) for tensor in kept]
    return [out, x.grad, layer.weight.grad, layer.bias.grad], sizes


@pytest.mark.parametrize('half', [False, True])
def test_gelu_linear_is_torch_s_and_keeps_less(half):

    def plain(x, layer):
        return layer(F.gelu(x))

    found, sizes = gradients(gelu_linear, half)
    expected, more = gradients(plain, half)
    for a, b in zip(found, expected):
        assert a.dtype == b.dtype
        torch.testing.assert_close(a, b, rtol=1e-2 if half else 1e-6,
                                   atol=1e-2 if half else 1e-6)
    assert sum(map(len, sizes)) < sum(map(len, more))


def test_gelu_linear_has_right_gradients():
    layer = torch.nn.Linear(3, 2).double()
    x = torch.randn(4, 3, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x, *_: gelu_linear(x, layer), (x, *layer.parameters()))
