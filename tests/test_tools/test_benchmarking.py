import json
import sys

import pytest
import torch
from torch import nn

from tests.conftest import ROOT

sys.path.append(str(ROOT / 'tools/benchmarks'))
import benchmarking  # noqa: E402

CPU = torch.device('cpu')


def test_contenders_take_turns():
    log = []
    times = benchmarking.alternate(
        dict(a=lambda: log.append('a'), b=lambda: log.append('b')),
        rounds=3,
        warmup=1)
    assert log == ['a', 'b'] + 3 * ['a', 'b']
    assert [len(x) for x in times.values()] == [3, 3]


def test_a_ratio_is_taken_within_a_round():
    times = dict(ours=[1., 10., 3.], twin=[2., 20., 4.])
    assert benchmarking.ratio(times, 'ours', 'twin') == (.5, .5, .75)
    assert benchmarking.rate(times, 'twin', 4).median == 1


def test_peak_memory_counts_what_lives_at_once():
    def step():
        for _ in range(3):  # one after the other: never two alive
            x = torch.empty(1 << 20)
            del x

    assert benchmarking.peak_memory(step, CPU) == pytest.approx(
        4 << 20, rel=.01)


def test_flops_of_attention_are_counted():
    q = torch.randn(2, 4, 16, 8)

    def step():
        nn.functional.scaled_dot_product_attention(q, q, q)

    assert benchmarking.count_flops(step) == 2 * 2 * (2 * 4 * 16 * 16 * 8)


def test_model_bytes_follow_the_precision():
    assert benchmarking.model_bytes(nn.Linear(3, 5)) == 20 * 4
    assert benchmarking.model_bytes(nn.Linear(3, 5).bfloat16()) == 20 * 2


def test_report_prints_a_table_and_writes_the_same(tmp_path, capsys):
    path = tmp_path / 'report.json'
    figure = benchmarking.Figure(2., 1., 3.)
    benchmarking.report('Speed', [
        dict(name='a', time=figure),
        dict(name='b', note='x')
    ], dict(threads=1), str(path))
    printed = capsys.readouterr().out
    assert '| a    | 2 [1, 3] |      |' in printed
    content = json.loads(path.read_text())
    assert content['rows'][0]['time'] == dict(median=2., low=1., high=3.)
    assert content['facts'] == dict(threads=1)


def test_environment_names_the_machine():
    facts = benchmarking.environment(CPU)
    assert facts['torch'] == torch.__version__
    assert facts['processor'] and facts['threads'] >= 1
