import builtins

import torch

from cast_mmaction import doctor, host


def test_everything_works(capsys):
    assert doctor.main() == 0
    report = capsys.readouterr().out
    for part in ('mmaction2              1.2.0', 'decoder                works',
                 'memory', 'mended', 'GPU'):
        assert part in report
    assert 'Not usable' not in report


def test_says_what_to_do(capsys, monkeypatch):
    monkeypatch.setattr(host, 'problem',
                        lambda: "mmcv is missing. Run: pip install 'x'")
    assert doctor.main() == 1
    assert capsys.readouterr().out.endswith(
        "Not usable yet:\n- mmcv is missing. Run: pip install 'x'\n")


def test_a_missing_decoder(monkeypatch):
    original = builtins.__import__

    def without_decord(name, *args, **kwargs):
        if name == 'decord':
            raise ImportError("No module named 'decord'")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, '__import__', without_decord)
    assert 'Run: pip install decord' in doctor.decoder_problem()


def test_torchvision_of_another_torch(monkeypatch):
    import torchvision.ops

    def nms(*args):
        raise RuntimeError('operator torchvision::nms does not exist')

    monkeypatch.setattr(torchvision.ops, 'nms', nms)
    assert 'one index' in doctor.torchvision_problem()


def test_a_gpu_that_torch_cannot_use(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(doctor.Path, 'is_dir', lambda self: True)
    assert 'built for CUDA' in doctor.gpu_problem()
