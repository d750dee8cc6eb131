import json

import pytest

from cast_mmaction.datasets.annotations import (find_videos, make_list,
                                                read_kinetics, read_ssv2)


def expected_list(path):
    return dict(line.rsplit(' ', 1) for line in path.read_text().splitlines())


def made_list(labels, folder=None):
    return dict(line.rsplit(' ', 1) for line in make_list(labels,
                                                          folder).lines)


def test_kinetics_list(shared):
    folder = shared / 'annotations'
    found = made_list(read_kinetics(str(folder / 'kinetics-400_val.csv')))
    expected = expected_list(folder / 'expected-k400-val-list.txt')
    assert {name: found[name] for name in expected} == expected


def test_ssv2_list(shared):
    folder = shared / 'annotations'
    found = made_list(
        read_ssv2(
            str(folder / 'something-something-v2-validation-first3000.json'),
            str(folder / 'something-something-v2-labels.json')))
    expected = expected_list(folder / 'expected-ssv2-val-list.txt')
    assert len(found) == 3000
    assert all(expected[name] == label for name, label in found.items())


def test_labels_need_all_classes(tmp_path):
    path = tmp_path / 'few.csv'
    path.write_text('label,youtube_id\nbowling,abc\n')
    with pytest.raises(ValueError, match='few.csv names 1 classes.*400'):
        read_kinetics(str(path))
    assert read_kinetics(str(path), num_classes=1) == {'abc': 0}
    path.write_text('label,youtube_id\nbowling,\n')
    with pytest.raises(ValueError, match='few.csv, line 2'):
        read_kinetics(str(path), num_classes=1)


def test_unknown_template_is_named(tmp_path):
    rows, labels = tmp_path / 'rows.json', tmp_path / 'labels.json'
    labels.write_text(json.dumps({'Holding something': '0'}))
    rows.write_text(
        json.dumps([dict(id='7', template='Eating [something]')]))
    with pytest.raises(ValueError, match="video '7': 'Eating something'"):
        read_ssv2(str(rows), str(labels))


def test_videos_are_found_under_their_usual_names(tmp_path):
    (tmp_path / 'playing trumpet').mkdir()
    names = [
        'playing trumpet/-3B32lodo2M_000059_000069.mp4', '74225.webm',
        'notes.txt'
    ]
    for name in names:
        (tmp_path / name).touch()
    assert find_videos(str(tmp_path)) == {
        '-3B32lodo2M': names[0],
        '74225': names[1]
    }
    listing = make_list({'-3B32lodo2M': 3, 'gone': 1}, str(tmp_path))
    assert listing.lines == [f'{names[0]} 3']
    assert listing.missing == ['gone']
