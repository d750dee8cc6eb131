"""Every recipe says what the references say: value by value, figure by
figure, in config, README, metafile and model index."""
import json
import re
from functools import lru_cache

import pytest
import torch
from mmaction.registry import MODELS
from torch.utils.flop_counter import FlopCounterMode

from tests.conftest import ROOT
from tests.test_configs.recipes import (CONFIGS, FACTS, header_of, is_old_name,
                                        load, look_up, read_yaml, recipes)

FOLDERS = ('aim', 'cast', 'evl', 'experts', 'slowfast', 'slowfast_bcast',
           'st_adapter', 'timesformer')
ITEMS = range(1, 34)
# Items that are not about the values of single configs.
SETTLED_ELSEWHERE = {29: 'published', 30: 'metafiles', 31: 'model index',
                     32: 'metafiles', 33: 'names of files'}
PUBLISHED = FACTS['published']
DATA = dict(
    kinetics400='Kinetics-400',
    kinetics600='Kinetics-600',
    kinetics700='Kinetics-700',
    sthv2='SthV2',
    ek100='EPIC-KITCHENS-100',
    diving48='Diving48',
    howto100m='HowTo100M')


def matching(fact):
    return [
        path for pattern in fact['configs']
        for path in sorted(CONFIGS.glob(pattern))
        if path.suffix == '.py' and not is_old_name(path)
    ]


def plain(value):
    """Lists for tuples, as a table of facts can say them."""
    return list(value) if isinstance(value, (list, tuple)) else value


@pytest.mark.parametrize(
    'fact', FACTS['facts'],
    ids=lambda fact: f'{fact["item"]}-{fact["configs"][0]}')
def test_configs_hold_the_facts(fact):
    paths = matching(fact)
    assert all(list(CONFIGS.glob(x)) for x in fact['configs'])
    for path in paths:
        cfg = load(path)
        for key, value in fact.get('values', {}).items():
            for found in look_up(cfg, key):
                assert plain(found) == value, (path.stem, key, fact['source'])
        readme = path.parent / 'README.md'
        said = header_of(path) + ' ' + readme.read_text()
        for words in fact.get('says', ()):
            assert words in said, (path.stem, words, fact['source'])


def test_every_item_is_settled():
    settled = {fact['item'] for fact in FACTS['facts']}
    assert settled | set(SETTLED_ELSEWHERE) == set(ITEMS)
    table = (CONFIGS / 'README.md').read_text()
    rows = re.findall(r'^\| (\d+) \|', table, re.MULTILINE)
    assert list(map(int, rows)) == list(ITEMS)


def test_every_recipe_is_held_against_a_fact():
    held = {path for fact in FACTS['facts'] for path in matching(fact)}
    assert not set(recipes(*FOLDERS)) - held


def test_facts_that_do_not_hold_are_noticed():
    path, = CONFIGS.glob('aim/*base*-8x16x1*kinetics400*')
    cfg = load(path)
    assert look_up(cfg, 'train.ClipSampleFrames.clip_len') == [8]
    assert look_up(cfg, 'train.ClipSampleFrames.nothing') == ['absent']
    assert look_up(cfg, 'train.ClipRandAugment') == ['absent']
    assert look_up(cfg, 'param_scheduler.0.end') == [2.5]
    assert look_up(cfg, 'model.**.init_std') == [.01]
    assert look_up(cfg, 'model.**.nothing') == ['absent']


@pytest.mark.parametrize(
    'path', [
        path for folder in (*FOLDERS, 'cast/ablations')
        for path in sorted((CONFIGS / folder).glob('*.py'))
        if is_old_name(path)
    ],
    ids=lambda path: path.stem)
def test_old_names_lead_to_the_recipe(path):
    cfg = load(path)
    target, = re.findall(r"_base_ = './(.*)'", path.read_text())
    assert cfg.to_dict() == load(path.parent / target).to_dict()
    assert not is_old_name(path.parent / target)


@lru_cache(maxsize=None)
def multiply_adds_of(backbone, frames, side):
    """Of a view (G); recipes that differ in data alone share the backbone."""
    with torch.device('meta'):
        model = MODELS.build(json.loads(backbone)).eval()
        clip = torch.empty(1, 3, frames, side, side)
    model.requires_grad_(False)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(clip)
    return counter.get_total_flops() / 2e9


@lru_cache(maxsize=None)
def counts(path):
    """Parameters in all and trained (M), multiply-adds of a view (G)."""
    cfg = load(path)
    sample = cfg.test_dataloader.dataset.pipeline[1]
    side = cfg.test_dataloader.dataset.pipeline[4].crop_size
    with torch.device('meta'):
        model = MODELS.build(
            {k: v for k, v in cfg.model.items() if k != 'data_preprocessor'})
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = sum(p.numel() for p in model.parameters())
    backbone = cfg.model.backbone.to_dict()
    for part in (backbone, *backbone.values()):
        if isinstance(part, dict):  # which file is loaded costs nothing
            for key in [k for k in part if k.startswith('pretrained')]:
                part.pop(key)
    return total / 1e6, trained / 1e6, multiply_adds_of(
        json.dumps(backbone, sort_keys=True), sample.clip_len, side)


@pytest.mark.parametrize('name', PUBLISHED)
def test_published_sizes_and_figures(name):
    said, path = PUBLISHED[name], CONFIGS / f'{name}.py'
    total, trained, multiply_adds = counts(path)
    for key, value in (('parameters', total), ('trained', trained)):
        if key in said:  # mostly printed as whole millions
            assert value == pytest.approx(said[key], rel=.01, abs=.6), key
    if 'multiply_adds' in said:
        assert multiply_adds * said['of'] == pytest.approx(
            said['multiply_adds'], rel=.01)
    header = header_of(path)
    for key in ('top1', 'verb', 'noun', 'action'):
        if key in said:
            assert str(said[key]) in header, key


METAFILES = sorted(CONFIGS.glob('*/**/metafile.yml'))


def test_the_model_index_lists_every_folder():
    index = read_yaml(ROOT / 'model-index.yml')
    assert index['Import'] == [
        str(path.relative_to(ROOT)) for path in METAFILES
    ]
    assert not (CONFIGS / 'model-index.yml').exists()
    assert {path.parent for path in METAFILES} == {
        path.parent for path in CONFIGS.glob('*/**/README.md')
    }


def test_the_model_index_names_every_recipe_once():
    models = [x for path in METAFILES for x in read_yaml(path)['Models']]
    names = [model['Name'] for model in models]
    assert len(set(names)) == len(names)
    listed = {ROOT / model['Config'] for model in models}
    assert all(path.is_file() for path in listed)
    assert set(recipes(*FOLDERS)) <= listed


def test_ablations_are_indexed_with_the_papers_figures():
    folder = CONFIGS / 'cast/ablations'
    tables = json.loads((folder / 'tables.json').read_text())['tables']
    paper = {}
    for table in tables.values():
        for row in table['rows']:
            paper.setdefault(row['config'], row.get('paper', {}))
    models = read_yaml(folder / 'metafile.yml')['Models']
    assert {(ROOT / model['Config']).stem for model in models} == set(paper)
    for model in models:
        result, = model['Results']
        figures = paper[(ROOT / model['Config']).stem]
        assert result['Metrics'] == {
            f'{task.capitalize()} Top 1 Accuracy': figures[task]
            for task in ('verb', 'noun', 'action') if task in figures
        }
        assert 'not measured here' in result['Source']


def models_of(folder):
    return read_yaml(CONFIGS / folder / 'metafile.yml')['Models']


@pytest.mark.parametrize('model', [
    model for folder in FOLDERS for model in models_of(folder)
], ids=lambda model: model['Name'])
def test_metadata_are_those_of_the_config(model):
    path = ROOT / model['Config']
    cfg, said = load(path), model['Metadata']
    assert path.stem == model['Name']
    total, trained, multiply_adds = counts(path)
    assert said['Parameters'] == f'{total:.1f}M'
    assert said['Trained Parameters'] == f'{trained:.1f}M'
    assert said['FLOPs'] == f'{multiply_adds:.1f}G'
    assert said['Batch Size'] == cfg.train_dataloader.batch_size
    assert said['Epochs'] == cfg.train_cfg.max_epochs
    side = cfg.test_dataloader.dataset.pipeline[4].crop_size
    assert said['Resolution'] == f'{side}x{side}'
    gpus = re.search(r'_(\d+)xb', path.stem)[1]
    assert said['Training Resources'] == f'{gpus} GPUs'
    assert said['Pretrained'] and said['Architecture']
    data = DATA[path.stem.split('_')[-1].removesuffix('-rgb')]
    result, = model['Results']
    assert said['Training Data'] == result['Dataset'] == data
    name = str(path.relative_to(CONFIGS).with_suffix(''))
    published = PUBLISHED.get(name, {})
    metrics = {
        'Top 1 Accuracy': published.get('top1'),
        'Top 5 Accuracy': published.get('top5'),
        'Verb Top 1 Accuracy': published.get('verb'),
        'Noun Top 1 Accuracy': published.get('noun'),
        'Action Top 1 Accuracy': published.get('action')
    }
    metrics = {k: v for k, v in metrics.items() if v is not None}
    assert (result['Metrics'] or {}) == metrics
    assert 'not measured here' in result['Source']
    readme = (path.parent / 'README.md').read_text()
    assert f'({path.name})' in readme
