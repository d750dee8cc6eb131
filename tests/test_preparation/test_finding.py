import os

import pytest

from cast_mmaction.datasets.annotations import Entry
from cast_mmaction.preparation.finding import find_videos, settle


def entry(name, label=0, split='val', span=(59, 69), where='val.csv, line 2'):
    return Entry(name, label, split, where, name, span)


@pytest.fixture
def put(tmp_path):
    """Writes files; their content is their name."""

    def write(*names, content=None):
        for name in names:
            path = tmp_path / 'videos' / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name if content is None else content)
        return str(tmp_path / 'videos')

    return write


@pytest.mark.parametrize('name', [
    '-3B32lodo2M.mp4', '-3B32lodo2M_000059_000069.mp4',
    '-3B32lodo2M_59_69.MKV',
    '-3B32lodo2M_59000_69000.mp4', '-3B32lodo2M_raw.webm', 'v_-3B32lodo2M.avi',
    'v_-3B32lodo2M_000059_000069_raw.mp4', 'a class/sub/-3B32lodo2M.mp4'
])
def test_usual_names(put, name):
    folder = put(name, '-3B32lodo2.mp4', 'notes.txt', '._-3B32lodo2M.mp4')
    assert find_videos(folder, [entry('-3B32lodo2M')]) == ({
        '-3B32lodo2M': name
    }, [])


def test_ids_that_end_like_times(put):
    names = ['ab_1234_567', 'ab_12', 'ab']
    folder = put('ab_1234_567.mp4', 'ab_12_59.mp4', 'ab_000059_000069.mp4')
    assert find_videos(folder, [entry(name) for name in names]).files == {
        'ab_1234_567': 'ab_1234_567.mp4',
        'ab_12': 'ab_12_59.mp4',
        'ab': 'ab_000059_000069.mp4'
    }


def test_links(put, tmp_path):
    folder = put('one/a.mp4')
    os.symlink(tmp_path / 'videos', tmp_path / 'videos/one/round')
    os.symlink('nowhere', tmp_path / 'videos/b.mp4')
    os.symlink('one/a.mp4', tmp_path / 'videos/a_59_69.mp4')
    os.symlink(put('../elsewhere/c.mp4')[:-6] + 'elsewhere',
               tmp_path / 'videos/far')
    found = find_videos(folder, [entry('a'), entry('b'), entry('c')])
    # The same file twice is one video.
    assert found.files == {'a': 'a_59_69.mp4', 'c': 'far/c.mp4'}
    problem, = found.problems
    assert problem.kind == 'missing' and 'link to nothing' in problem.text


def test_what_is_wrong_is_named(put):
    put('zero.mp4', 'half.mp4', content='')
    folder = put('two.mp4', 'x/two_000059_000069.mp4', 'half_59_69.mp4',
                 'other_000001_000011.mp4')
    names = ['zero', 'two', 'half', 'other', 'gone']
    found = find_videos(folder, [entry(name) for name in names])
    assert found.files == {
        'two': 'x/two_000059_000069.mp4',  # its times are the clip's
        'half': 'half_59_69.mp4',
        'other': 'other_000001_000011.mp4'
    }
    assert {(x.kind, x.name) for x in found.problems} == {
        ('zero bytes', 'zero'), ('twice', 'two'), ('other times', 'other'),
        ('missing', 'gone')
    }
    text, = [x.text for x in found.problems if x.kind == 'twice']
    assert 'two_000059_000069.mp4 is taken, not ' in text
    assert text.endswith('two.mp4')
    with pytest.raises(FileNotFoundError, match='absent: there is no such'):
        find_videos('absent', [])


def test_contradictions_are_settled():
    entries = [
        entry('good', 1, 'train'),
        entry('both', 1, 'train', where='train.csv, line 3'),
        entry('both', 1, 'val', where='val.csv, line 9'),
        entry('torn', 1, 'val', where='val.csv, line 4'),
        entry('torn', 2, 'val', where='val.csv, line 5'),
        entry('again', 2, 'val'), entry('again', 2, 'val'),
    ]
    kept, problems = settle(entries)
    assert [(x.name, x.split) for x in kept] == [('good', 'train'),
                                                 ('both', 'val'),
                                                 ('again', 'val')]
    assert [(x.kind, x.name) for x in problems] == [
        ('contradictory', 'both'), ('contradictory', 'torn'),
        ('twice', 'again')
    ]
    assert 'in train and val (train.csv, line 3 and val.csv, line 9)' in (
        problems[0].text)
    assert '2 labels (val.csv, line 4 and val.csv, line 5)' in (
        problems[1].text)
