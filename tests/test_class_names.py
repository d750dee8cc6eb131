import csv
import json

import pytest
from mmengine.config import Config

from cast_mmaction.class_names import (names_by_task, names_in_config,
                                       read_class_names)
from tests.toy import ROOT


@pytest.mark.parametrize('name, count, first, last', [
    ('kinetics400', 400, 'abseiling', 'zumba'),
    ('sthv2', 174, 'Approaching something with your camera', None),
    ('epic100_verbs', 97, 'take', None),
    ('epic100_nouns', 300, 'tap', None),
])
def test_shipped_lists(name, count, first, last):
    names = read_class_names(name, count)
    assert names[0] == first
    assert last is None or names[-1] == last


def test_shipped_lists_are_the_official_ones(shared):
    with open(shared / 'annotations/kinetics-400_val.csv') as file:
        names = sorted({row['label'] for row in csv.DictReader(file)})
    assert read_class_names('kinetics400') == names
    with open(shared / 'annotations/something-something-v2-labels.json') as f:
        labels = json.load(f)
    assert {name: str(label) for label, name in
            enumerate(read_class_names('sthv2'))} == labels
    for task in ('verb', 'noun'):
        path = shared / f'epic100/EPIC_100_{task}_classes.csv'
        with open(path) as file:
            names = [row['key'] for row in csv.DictReader(file)]
        assert read_class_names(f'epic100_{task}s') == names


@pytest.mark.parametrize('content, message', [
    (b'', 'the file is empty'),
    (b'a\n\nb\n', 'line 2 is empty'),
    (b'a\nb\na\n', "'a' is there twice"),
    (b'a\nb\n', '2 names for num_classes=3'),
    ('\u00e9'.encode('latin-1'), 'not UTF-8 at character 1'),
])
def test_wrong_files(tmp_path, content, message):
    path = tmp_path / 'classes.txt'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f'classes.txt.*: .*{message}'):
        read_class_names(str(path), 3)


def test_no_such_file():
    with pytest.raises(FileNotFoundError, match='shipped lists: .*kinetics400'):
        read_class_names('nowhere.txt')


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    path = tmp_path / 'classes.txt'
    path.write_text('\ufeffa\nb\n', encoding='utf-8')
    assert read_class_names(str(path)) == ['a', 'b']


def test_names_by_task():
    assert names_by_task(None) == {}
    assert names_by_task(dict(classes=('a', 'b'))) == dict(label=['a', 'b'])
    assert names_by_task(dict(verb_classes=['a'], noun_classes=['b'])) == \
        dict(verb=['a'], noun=['b'])


@pytest.mark.parametrize('config, sizes', [
    ('cast_k400.py', dict(classes=400)),
    ('cast_ssv2.py', dict(classes=174)),
    ('cast_ek100.py', dict(verb_classes=97, noun_classes=300)),
])
def test_names_of_the_configs_without_the_data(config, sizes):
    meta = names_in_config(Config.fromfile(ROOT / 'configs' / config))
    assert {key: len(names) for key, names in meta.items()} == sizes


def test_names_in_a_csv_of_a_config(tmp_path):
    (tmp_path / 'verbs.csv').write_text('id,key,category\n0,cut,\n1,put,\n')
    cfg = dict(
        test_dataloader=dict(
            dataset=dict(
                data_root=str(tmp_path),
                class_files=dict(
                    verb_classes='verbs.csv', noun_classes='absent.csv'))))
    assert names_in_config(cfg) == dict(verb_classes=['cut', 'put'])
