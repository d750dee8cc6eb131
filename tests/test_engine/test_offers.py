"""Which of several machines' checkpoints a training goes on from."""
import pytest

from cast_mmaction.engine.offers import choose, make_offer


@pytest.fixture
def offer(monkeypatch):
    monkeypatch.setenv('CAST_LAUNCH', 'this')

    def make(path, epoch=0, launch='this', problem=''):
        meta = dict(epoch=epoch, iter=10 * epoch, launch=launch)
        return make_offer(path, problem, meta, f'owner of {path}')

    return make


@pytest.mark.parametrize('resume', [True, False])
def test_of_this_launch_the_newest(offer, resume):
    """Whoever wrote it: the first process may be another one by now."""
    offers = [offer('a', 2), None, offer('b', 3), offer('c', 9, 'older'),
              offer('d', 3)]
    assert choose(offers, resume) == (2, offers[2])


def test_of_another_launch_the_first_process_decides(offer):
    offers = [offer('a', 2, 'older'), offer('b', 3, None)]
    assert choose(offers, True) == (0, offers[0])
    assert choose(offers, False) == (0, None)  # starts as the config says


def test_nothing_anywhere_starts_anew(offer):
    _, chosen = choose([offer(None), offer(None)], True)
    assert (chosen.path, chosen.problem) == (None, '')


def test_what_is_damaged_is_told_before_what_others_have(offer):
    _, chosen = choose([offer(None, problem='damaged'), offer('b', 3, None)],
                       True)
    assert chosen.problem == 'damaged'


def test_a_checkpoint_that_says_nonsense(offer):
    assert make_offer('a', '', dict(epoch='x'), 'me').place == (0, 0)
    assert not make_offer('a', '', dict(launch=None), 'me').own
