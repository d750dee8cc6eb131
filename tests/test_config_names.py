"""Configs by file, by path in the package, and by the name of a model."""
import pytest
from mmengine.config import Config
from mmengine.fileio import load

from cast_mmaction.config_names import indexed_models, read_config
from tests.conftest import ROOT


def test_every_model_of_the_index_has_its_config():
    models = indexed_models()
    count = sum(
        len(load(ROOT / metafile)['Models'])
        for metafile in load(ROOT / 'model-index.yml')['Import'])
    assert len(models) == count
    for model in models.values():
        assert model.config.is_file()
        # The rows of the ablations have short file names.
        assert model.name.removeprefix('cast-ablation_') == model.config.stem


def test_three_ways_to_one_config():
    name = next(iter(indexed_models().values())).name
    file = indexed_models()[name.lower()].config
    path = file.relative_to(file.parents[1]).as_posix()
    configs = [
        read_config(x) for x in (str(file), f'cast_mmaction::{path}', name)
    ]
    assert all(c.model == Config.fromfile(file).model for c in configs)


def test_an_old_name():
    demo = read_config('cast_mmaction::demo/cast_demo.py')
    assert read_config('cast_mmaction::cast_demo.py').model == demo.model


def test_a_name_that_is_none():
    name = next(iter(indexed_models().values())).name
    with pytest.raises(FileNotFoundError, match=f'near names: .*{name}'):
        read_config(name[:-1])
    with pytest.raises(FileNotFoundError, match='cast_mmaction::demo'):
        read_config('xyz')
