import os
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


def test_a_second_link_to_the_same_file_does_not_stay(tmp_path):
    """`os.replace` does nothing between two names of one file."""
    path = tmp_path / 'best.pth'
    path.write_text('epoch 1')
    with atomic_write(path) as temporary:
        os.link(path, temporary)
    assert [x.name for x in tmp_path.iterdir()] == ['best.pth']
    assert path.read_text() == 'epoch 1'
