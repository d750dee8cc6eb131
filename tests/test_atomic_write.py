import errno
import os
import resource

import pytest
import torch

from cast_mmaction.atomic_write import atomic_write, check_writable


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


@pytest.mark.parametrize('number, advice', [
    (errno.ENOSPC, 'Make room'),
    (errno.EROFS, 'Choose a folder'),
    (errno.EACCES, 'Choose a folder'),
])
def test_says_what_is_wrong_with_the_disk(tmp_path, number, advice):
    path = tmp_path / 'a.txt'
    path.write_text('old')
    with pytest.raises(OSError, match=f'a.txt.*unchanged: .*{advice}') as info:
        with atomic_write(path):
            raise OSError(number, os.strerror(number))
    assert info.value.errno == number
    assert path.read_text() == 'old'


def test_a_disk_that_takes_no_more(tmp_path):
    """A limit on the size of files stands in for a full disk."""
    path = tmp_path / 'a.pth'
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, former[1]))
    try:
        with pytest.raises(OSError, match='a.pth cannot be written'):
            with atomic_write(path) as temporary:
                with temporary.open('wb') as file:
                    torch.save(torch.zeros(10000), file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
    assert not list(tmp_path.iterdir())


def test_another_error_keeps_its_words(tmp_path):
    with pytest.raises(FileNotFoundError, match='elsewhere'):
        with atomic_write(tmp_path / 'a.txt'):
            open(tmp_path / 'elsewhere')


def test_a_trial_leaves_nothing(tmp_path):
    check_writable(tmp_path / 'new/folder/a.pkl')
    assert not list((tmp_path / 'new/folder').iterdir())
    (tmp_path / 'file').write_text('x')
    with pytest.raises(OSError, match='file'):
        check_writable(tmp_path / 'file/a.pkl')
