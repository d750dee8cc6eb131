"""`make_submission.py` and `fuse_results.py` as a user runs them."""
import pickle
import runpy
import sys
from types import SimpleNamespace

import mmengine
import pytest

from ..conftest import ROOT
from ..test_evaluation.test_predictions import samples_of

LEVELS = ['--sls-pt', '2', '--sls-tl', '3', '--sls-td', '3']


@pytest.fixture
def run(monkeypatch, capsys):

    def run(tool, *args):
        path = str(ROOT / f'tools/results/{tool}.py')
        monkeypatch.setattr(sys, 'argv', [path, *map(str, args)])
        error = None
        try:
            runpy.run_path(path, run_name='__main__')
        except SystemExit as stop:
            error = stop.code
        return SimpleNamespace(error=error, stdout=capsys.readouterr().out)

    return run


@pytest.fixture
def split(tmp_path):
    """A list of three narrations and the dumps of two models."""
    ids = ['P01_1_0', 'P01_1_1', 'P18_1_0']
    (tmp_path / 'rows.csv').write_text('P01_1_0,0,2\nP01_1_1,11,3\n'
                                       'P18_1_0,5,80\n')
    for seed in (0, 1):
        samples = samples_of(ids, seed=seed)
        mmengine.dump(samples, str(tmp_path / f'{seed}.pkl'))
    return tmp_path


def test_make_submission(split, run):
    done = run('make_submission', split / '0.pkl', split / 'rows.csv',
               split / 'out.zip', '--pickle', split / 'official.pkl', *LEVELS)
    assert not done.error
    assert 'out.zip: 3 narrations' in done.stdout
    content = pickle.loads((split / 'official.pkl').read_bytes())
    assert content['verb_output'].shape == (3, 97)


def test_make_submission_refuses(split, run):
    done = run('make_submission', split / '0.pkl', split / 'rows.csv',
               split / 'out.zip', *LEVELS[:4])
    assert '--sls-td is missing' in done.error
    (split / 'rows.csv').write_text('P01_1_0,0,2\nP09_9_9,0,2\n')
    done = run('make_submission', split / '0.pkl', split / 'rows.csv',
               split / 'out.zip', *LEVELS)
    assert done.error.startswith('error: ')
    assert '1 missing (P09_9_9)' in done.error
    assert not list(split.glob('out.zip*'))


def test_fuse_results(split, run):
    (split / 'EPIC_100_tail_verbs.csv').write_text('verb\n11\n')
    (split / 'EPIC_100_tail_nouns.csv').write_text('noun\n80\n')
    (split / 'EPIC_100_unseen_participant_ids_validation.csv').write_text(
        'participant_id\nP18\n')
    done = run('fuse_results', split / '0.pkl', split / '1.pkl',
               '--verb-weights', '1', '2', '--annotations',
               split / 'rows.csv', '--out', split / 'fused.pkl')
    assert not done.error
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert len(names) == 13 and names[-1] == 'all/harmonic_mean'
    again = run('fuse_results', split / 'fused.pkl', '--annotations',
                split / 'rows.csv')
    assert again.stdout == done.stdout
    done = run('fuse_results', split / '0.pkl', '--noun-weights', '1', '2',
               '--annotations', split / 'rows.csv')
    assert 'noun weights' in done.error


def test_fuse_results_writes_f1(split, run):
    for task, count in (('verb', 97), ('noun', 300)):
        (split / f'EPIC_100_{task}_classes.csv').write_text(
            'id,key,instances,category\n' + ''.join(
                f'{i},{task}{i},[],group{i % 3}\n' for i in range(count)))
    done = run('fuse_results', split / '0.pkl', '--annotations',
               split / 'rows.csv', '--f1', split / 'f1.csv')
    assert not done.error
    assert 'F1 noun all' in done.stdout
    lines = (split / 'f1.csv').read_text().splitlines()
    assert lines[0] == 'task,level,name,support,f1'
    assert sum(line.startswith('verb,class,') for line in lines) == 3
    (split / 'EPIC_100_noun_classes.csv').unlink()
    done = run('fuse_results', split / '0.pkl', '--annotations',
               split / 'rows.csv', '--f1', split / 'f1.csv')
    assert 'EPIC_100_noun_classes.csv' in done.error
