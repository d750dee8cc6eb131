import json

import pytest

from cast_mmaction.datasets.annotations import (kinetics_entries,
                                                read_kinetics, read_ssv2,
                                                split_called, ssv2_entries)


def expected_list(path):
    lines = (line.rsplit('.mp4 ', 1) for line in path.read_text().splitlines())
    return {name: int(label) for name, label in lines}


def test_kinetics_labels(shared):
    folder = shared / 'annotations'
    found = read_kinetics(str(folder / 'kinetics-400_val.csv'))
    expected = expected_list(folder / 'expected-k400-val-list.txt')
    assert {name: found[name] for name in expected} == expected


def test_ssv2_labels(shared):
    folder = shared / 'annotations'
    found = read_ssv2(
        str(folder / 'something-something-v2-validation-first3000.json'),
        str(folder / 'something-something-v2-labels.json'))
    expected = expected_list(folder / 'expected-ssv2-val-list.txt')
    assert len(found) == 3000
    assert all(expected[name] == label for name, label in found.items())


@pytest.fixture
def file(tmp_path):

    def write(name, content):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.
                        dumps(content))
        return str(path)

    return write


def test_labels_need_all_classes(file):
    path = file('few.csv', 'label,youtube_id\nbowling,abc\n')
    with pytest.raises(ValueError, match='few.csv names 1 classes.*400'):
        read_kinetics(path)
    with pytest.raises(ValueError, match='instead of 400, 600 or 700'):
        kinetics_entries([path])
    assert read_kinetics(path, num_classes=1) == {'abc': 0}
    # The place among all names.
    found = kinetics_entries([path], classes=['archery', 'bowling'])
    assert found.entries[0].label == 1 and len(found.classes) == 2
    with pytest.raises(ValueError, match="few.csv: 'bowling' is not one of"):
        kinetics_entries([path], classes=['archery'])
    path = file('few.csv', 'label,youtube_id\nbowling,\n')
    with pytest.raises(ValueError, match='few.csv, line 2'):
        read_kinetics(path, num_classes=1)


def test_splits_of_kinetics(file):
    head = 'label,youtube_id,time_start,time_end,split'
    train = file('k_train.csv', f'{head},is_cc\na,x,1,11,train,0\n'
                 'b,y,2,12,train,1\n')
    val = file('k_validate.csv', f'{head}\nb,z,7.0,17.0,validate\n')
    test = file('k_test.csv', 'youtube_id,time_start,time_end,split\n'
                'w,3,13,test\n')
    found = kinetics_entries([train, val, test], 2)
    assert [(x.name, x.label, x.split, x.span) for x in found.entries] == [
        ('x', 0, 'train', (1, 11)), ('y', 1, 'train', (2, 12)),
        ('z', 1, 'val', (7, 17)), ('w', None, 'test', (3, 13))
    ]
    assert kinetics_entries([test]).classes == []


@pytest.mark.parametrize('name, content, message', [
    ('val.csv', 'label,youtube_id,split\na,x,train\n', 'swapped'),
    ('both.csv', 'label,youtube_id,split\na,x,train\na,y,val\n', '2 splits'),
    ('val.csv', 'youtube_id,split\nx,val\n', 'columns label, youtube_id'),
    ('val.csv', 'label,id\na,x\n', 'columns youtube_id are needed'),
    ('v.csv', 'label,youtube_id,time_start,time_end\na,x,soon,1\n', 'soon'),
    ('v.csv', '[{"id": "1", "template": "x"}]', 'line 1'),
])
def test_wrong_kinetics_files(file, name, content, message):
    with pytest.raises(ValueError, match=f'{name}.*{message}'):
        kinetics_entries([file(name, content)], 1)


@pytest.mark.parametrize('name, split', [
    ('kinetics_600_holdout_test.csv', 'test'), ('a/train/latest.csv', ''),
    ('something-something-v2-validation.json', 'val'),
    ('training.csv', 'train')
])
def test_splits_in_names(name, split):
    assert split_called(name) == split


def test_splits_of_ssv2(file):
    labels = file('labels.json', {'Holding something': '0', 'Eating it': '1'})
    test = file('v2-test.json', [dict(id='7'), dict(id='8')])
    val = file('v2-validation.json', [dict(id='5', template='Eating [it]')])
    found = ssv2_entries([val, test], labels)
    assert [(x.name, x.label, x.split) for x in found.entries] == [
        ('5', 1, 'val'), ('7', None, 'test'), ('8', None, 'test')
    ]
    assert found.classes == ['Holding something', 'Eating it']
    answers = file('answers.csv', '7;Holding something\n8;Eating it\n')
    found = ssv2_entries([test], labels, answers)
    assert [entry.label for entry in found.entries] == [0, 1]
    with pytest.raises(ValueError, match='answers.csv: none of its videos'):
        ssv2_entries([val], labels, answers)


def test_wrong_ssv2_files(file):
    labels = file('labels.json', {'Holding something': '0'})
    rows = file('val.json', [dict(id='7', template='Eating [something]')])
    with pytest.raises(ValueError, match="video '7': 'Eating something'"):
        read_ssv2(rows, labels)
    with pytest.raises(ValueError, match='labels.json: .*swapped'):
        read_ssv2(labels, rows.replace('val', 'labels'))
    with pytest.raises(ValueError, match='val.json: .*swapped'):
        read_ssv2(labels, rows)
    answers = file('answers.csv', '7,Holding something\n')
    with pytest.raises(ValueError, match='answers.csv, line 1: .*id;templ'):
        ssv2_entries([rows], labels, answers)
    labels = file('labels.json', {'Eating something': '3'})
    with pytest.raises(ValueError, match='labels.json: .*not 0 to 0'):
        ssv2_entries([rows], labels)
