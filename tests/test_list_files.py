import json
import os

import pytest

from cast_mmaction.datasets import VideoListDataset
from cast_mmaction.datasets.annotations import read_kinetics, read_ssv2
from cast_mmaction.datasets.epic_annotations import (read_classes, read_column,
                                                     read_narrations, seconds)
from cast_mmaction.list_files import (MAX_LINE, read_json, read_lines,
                                               read_rows, read_table,
                                               whole_number)


@pytest.fixture
def file(tmp_path):
    """Writes a file and gives its path."""

    def write(content) -> str:
        path = tmp_path / 'list'
        if isinstance(content, str):
            content = content.encode()
        path.write_bytes(content)
        return str(path)

    return write


def refused(read, *args) -> str:
    """What a reader says, without the folder of the file."""
    with pytest.raises(ValueError) as caught:
        read(*args)
    assert caught.type is ValueError, 'not of a kind that forgets the file'
    message = str(caught.value)
    assert '\n' not in message and len(message) < 400
    return message.replace(os.path.dirname(args[0]) + '/', '')


def all_lines(path):
    return list(read_lines(path))


@pytest.mark.parametrize('content, message', [
    ('a.mp4 1\nb\xe9.mp4 2\n'.encode('latin-1'),
     'list, line 2: not UTF-8 at character 2; save the file as UTF-8'),
    ('a.mp4 1\n'.encode('utf-16'), 'list, line 1: not UTF-8'),
    (b'a.mp4 1\nb.mp\x004 2', 'list, line 2: character 5 is a NUL'),
    (b'a.mp4 1\n' + b'x' * (MAX_LINE + 1), 'list, line 2: longer than'),
])
def test_what_is_no_text(file, content, message):
    assert refused(all_lines, file(content)).startswith(message)


@pytest.mark.parametrize('content', [
    b'a.mp4 1\nb.mp4 2\n', b'\xef\xbb\xbfa.mp4 1\r\nb.mp4 2',
    b'a.mp4 1\rb.mp4 2\r'
])
def test_line_ends_and_byte_order_marks(file, content):
    assert [(number, line.strip()) for number, line in all_lines(file(content))
            ] == [(1, 'a.mp4 1'), (2, 'b.mp4 2')]


def test_a_line_as_long_as_allowed(file):
    assert len(all_lines(file(b'x' * MAX_LINE))[0][1]) == MAX_LINE


@pytest.mark.parametrize('read', [all_lines, read_json])
def test_what_is_no_file(tmp_path, read):
    with pytest.raises(FileNotFoundError, match='gone: there is no such'):
        read(str(tmp_path / 'gone'))
    assert 'a file is needed' in refused(read, str(tmp_path))
    os.mkfifo(tmp_path / 'pipe')
    assert 'a file is needed' in refused(read, str(tmp_path / 'pipe'))


@pytest.mark.parametrize('content, message', [
    ('a,b\n1,"2\n', 'list, line 2: broken CSV'),
    ('a,b\n1,"2"x\n', 'list, line 2: broken CSV'),
    ('\n\n', 'list: the file is empty'),
    ('', 'list: the file is empty'),
])
def test_broken_csv(file, content, message):
    assert refused(read_rows, file(content)).startswith(message)


def test_tables(file):
    path = file('\n"a",b\n"1\n2",3\n\n4,5\n')
    assert read_table(path, 'a', 'b') == [(4, dict(a='1\n2', b='3')),
                                          (6, dict(a='4', b='5'))]
    assert "columns c are needed, got 'a, b'" in refused(
        read_table, path, 'c')
    assert "line 2 ('1'): 1 columns, expected 2: 'a, b'" in refused(
        read_table, file('a,b\n1\n'), 'a')


@pytest.mark.parametrize('content, message', [
    (b'{"a":\n 1,}', 'list, line 2: broken JSON'),
    (b'{"a":\n "\xe9"}', 'list, line 2: not UTF-8'),
    (b'[' * 200000, 'list: JSON nested too deeply'),
    (b'[' + b'1' * 5000 + b']', 'list: JSON with a number that is none'),
    (b'', 'list, line 1: broken JSON'),
])
def test_broken_json(file, content, message):
    assert refused(read_json, file(content)).startswith(message)


def test_json_with_a_byte_order_mark(file):
    assert read_json(file(b'\xef\xbb\xbf{"a": 1}')) == dict(a=1)


@pytest.mark.parametrize('value', [0, 7, '0', '123456789012345678'])
def test_whole_numbers(value):
    assert whole_number(value, 'list') == int(value)


@pytest.mark.parametrize(
    'value', ['', '-1', '1.5', '1_0', 'x' * 10000, '1' * 5000, '\u0663', ' 1',
              None, -1, 1.5, True, [1]],
    ids=lambda value: repr(value)[:9])
def test_what_is_no_number(value):
    with pytest.raises(ValueError, match='^list: label=.{1,90} is not a'):
        whole_number(value, 'list: label')


@pytest.mark.parametrize('stamp', ['', '1:2', '-1:00:00', '00:00:nan',
                                   '00:00:1e5', '9' * 5000 + ':00:00',
                                   '00:00:1_0'],
                         ids=lambda stamp: stamp[:9])
def test_what_is_no_time(stamp):
    with pytest.raises(ValueError, match='is not a time such as'):
        seconds(stamp)


def test_every_list_says_where(file, tmp_path):
    """Each reader of the package, with wrong bytes and with wrong values."""
    good = tmp_path / 'labels.json'
    good.write_text(json.dumps({'Holding something': '0'}))
    readers = {
        'video list': lambda path: VideoListDataset(
            path, [], data_prefix=dict(video='')),
        'narrations': lambda path: read_narrations(path, 97, 300),
        'classes': read_classes,
        'column': lambda path: read_column(path, 'verb'),
        'kinetics': read_kinetics,
        'labels': lambda path: read_ssv2(str(good), path),
        'videos': lambda path: read_ssv2(path, str(good)),
    }
    for read in readers.values():
        assert 'list, line 1: not UTF-8' in refused(read, file(b'\xff,1\n'))
    for name, content, message in [
        ('video list', 'a.mp4 ' + '1' * 5000, 'list, line 1 (.*label='),
        ('video list', 'a.mp4', 'path label'),
        ('narrations', '\n\nP01_1_0,1,x', 'line 3 (.*noun=.x. is not'),
        ('narrations', 'narration_id,verb,noun\n', 'there are no rows'),
        ('classes', 'id,key,category\n0,a,b\n2,c,d\n', 'line 3: expected cl'),
        ('classes', 'id,key\n0,a\n', 'columns id, key, category are needed'),
        ('column', 'noun\n1\n', "the one column 'verb'"),
        ('column', 'verb\n1,2\n', 'line 2 (.*2 columns'),
        ('kinetics', 'label,youtube_id\na,\n', 'line 2: label and youtube'),
        ('labels', '[1]', 'labels by template'),
        ('labels', '{"a": "x"}', "'a'='x' is not a number"),
        ('videos', '{"a": 1}', 'a list of videos'),
        ('videos', '[{"id": 1}]', 'video 1: id and template'),
        ('videos', '[1]', 'video 1: id and template'),
    ]:
        pattern = message.replace('(', r'\(')
        with pytest.raises(ValueError, match=f'list.*{pattern}'):
            readers[name](file(content))
