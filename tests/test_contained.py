import faulthandler
import os
import signal
import time

import pytest

from cast_mmaction.contained import contained


def work(item):
    kind, number = item
    if kind == 'crash':
        faulthandler.disable()  # pytest's
        os.kill(os.getpid(), signal.SIGSEGV)
    if kind == 'leave':
        os._exit(3)
    if kind == 'hang':
        time.sleep(60)
    if kind == 'eat':
        return len(bytearray(2**30))
    if kind == 'raise':
        raise KeyError(number)
    return number, os.getpid()


def run(*kinds, **options):
    found = contained(work, [(kind, place) for place, kind in
                             enumerate(kinds)], **options)
    return {outcome.item[1]: outcome for outcome in found}


@pytest.mark.parametrize('workers', [1, 3])
@pytest.mark.parametrize('kind, failure', [
    ('crash', 'the process crashed (SIGSEGV)'),
    ('leave', 'the process crashed (exit 3)'),
    ('hang', 'took more than 1 s'),
    ('eat', 'MemoryError: '),
    ('raise', 'KeyError: 1'),
])
def test_one_bad_item_costs_itself_alone(workers, kind, failure):
    found = run('good', kind, 'good', 'good', workers=workers, seconds=1,
                memory=2**28)
    assert found[1].failure == failure and found[1].value is None
    for place in (0, 2, 3):
        assert found[place].value[0] == place
        assert found[place].failure is None


def test_processes_are_used_again_and_ended():
    found = run(*['good'] * 20, workers=2)
    processes = {outcome.value[1] for outcome in found.values()}
    assert len(processes) <= 2 and os.getpid() not in processes
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_nothing_to_do():
    assert run() == {}


def test_leaving_early_ends_the_processes():
    outcomes = contained(work, [('good', 1), ('hang', 2)], workers=2)
    process = next(outcomes).value[1]
    outcomes.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
