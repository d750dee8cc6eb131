import sys
from types import SimpleNamespace

import torch

from tests.conftest import ROOT
from tests.test_models.peers import TINY

sys.path.append(str(ROOT / 'tools/benchmarks'))
import peers  # noqa: E402

CPU = torch.device('cpu')


def test_frozen_steps_hold_and_keep_less():
    def figures(frozen):
        cfg = dict(
            type='EVL',
            arch=TINY,
            img_size=64,
            num_frames=4,
            num_decoder_layers=1,
            frozen=frozen)
        step = peers.TrainingStep(cfg, 4, 4, 64, CPU)
        weights = sum(p.numel() for p in step.model.parameters())
        trained = sum(p.numel() for p in step.model.parameters()
                      if p.requires_grad)
        # Two moments of AdamW for what is trained, a counter per tensor.
        assert step.held_bytes() >= 4 * (weights + 2 * trained)
        return step.held_bytes(), peers.peak_memory(step, CPU)

    assert all(a < b for a, b in zip(figures(True), figures(False)))


def test_the_cost_of_the_schemes_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, 'SCHEMES', ['space', 'axial'])
    chart = tmp_path / 'cost.svg'
    peers.benchmark_timesformer(
        SimpleNamespace(
            frames=[1], sizes=[32], rounds=1, clock='cpu', device='cpu',
            out=str(tmp_path / 'cost.json'), chart=str(chart)))
    assert chart.stat().st_size > 1000
    assert '"gmacs"' in (tmp_path / 'cost.json').read_text()
