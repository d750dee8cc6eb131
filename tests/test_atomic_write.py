import pytest

from cast_mmaction.atomic_write import atomic_write


def test_appears_whole(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('old')
    with atomic_write(path) as temporary:
        temporary.write_text('new')
        assert path.read_text() == 'old'
    assert path.read_text() == 'new'
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('old')
    with pytest.raises(KeyboardInterrupt):
        with atomic_write(path) as temporary:
            temporary.write_text('ne')
            raise KeyboardInterrupt
    assert path.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [path]
