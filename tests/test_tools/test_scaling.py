"""The estimates of docs/scaling.md are those of the tool."""
import re

import pytest

from tests.toy import ROOT
from tools.benchmarks import scaling

PAGE = (ROOT / 'docs/scaling.md').read_text()


@pytest.mark.parametrize('words', [
    words.split() for words in re.findall(
        r'`python tools/benchmarks/scaling.py ?(.*?)`', PAGE)
])
def test_the_page_shows_what_the_tool_prints(words):
    """Under each of its commands, as far as it shows the table."""
    command = ' '.join(['python tools/benchmarks/scaling.py', *words])
    below = PAGE.split(f'`{command}`')[1].split('\n\n')
    table = next(part for part in below if part.startswith('| |'))
    printed = scaling.rows(scaling.parse_args(words))
    assert set(table.strip().splitlines()) <= set(printed)
    assert len(table.strip().splitlines()) > 3  # head, rule, two lines


def test_shares_take_the_clips_of_a_step_as_near_as_they_come():
    assert scaling.share(16, 576, 6) == (6, 6, 576)
    assert scaling.share(64, 576, 18) == (9, 1, 576)
    assert scaling.share(256, 576, 18) == (2, 1, 512)
    for gpus in range(1, 600, 7):
        found = scaling.share(gpus, 576, 18)
        assert found.total == gpus * found.batch * found.accumulation
        assert 1 <= found.batch <= 18 and found.accumulation >= 1


def test_a_step_is_bound_by_what_is_scarce():
    def bound(*words):
        args = scaling.parse_args(words)
        one = scaling.step(256, scaling.share(256, 576, args.batch), args)
        assert one.seconds >= max(one.compute, one.decode)
        return one.bound

    assert bound('--link', '1e6') == 'compute'
    assert bound('--link', '.1') == 'traffic'
    assert bound('--link', '1e6', '--cores', '1') == 'decode'


def test_traffic_is_that_of_a_ring():
    assert scaling.bytes_per_step(1, 182) == 0
    assert scaling.bytes_per_step(256, 182) == pytest.approx(
        2 * 182e6, rel=.01)
