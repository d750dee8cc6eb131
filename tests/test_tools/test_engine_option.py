"""tools/train.py --engine."""
import pytest

from tests.toy import ROOT
from tools import train

DEMO = str(ROOT / 'configs/cast_demo.py')
ENGINES = sorted(x.stem for x in (ROOT / 'configs/_base_/engine').glob('*.py'))


@pytest.fixture
def config(monkeypatch):

    def build(*words):
        monkeypatch.setattr('sys.argv', ['train.py', *words])
        return train.build_config(train.parse_args())

    return build


@pytest.mark.parametrize('engine', ENGINES)
def test_an_engine_is_its_lines_in_a_config(config, tmp_path, engine):
    below = tmp_path / 'below.py'
    lines = (ROOT / f'configs/_base_/engine/{engine}.py').read_text()
    below.write_text(f'_base_ = {DEMO!r}\n{lines}')
    chosen, plain = config(DEMO, '--engine', engine), config(DEMO)
    listed = config(str(below))
    for key in ('model_wrapper_cfg', 'optim_wrapper', 'default_hooks'):
        assert chosen.get(key) == listed.get(key), key
    assert any(chosen.get(key) != plain.get(key)
               for key in ('model_wrapper_cfg', 'optim_wrapper'))


def test_engines_that_do_not_exist(config, capsys):
    with pytest.raises(SystemExit):
        config(DEMO, '--engine', 'deepspeed')
    said = capsys.readouterr().err
    assert all(engine in said for engine in ENGINES)


def test_another_runner(config, tmp_path):
    path = tmp_path / 'flexible.py'
    path.write_text(f'_base_ = {DEMO!r}\nrunner_type = "FlexibleRunner"\n')
    with pytest.raises(ValueError, match='FlexibleRunner'):
        config(str(path), '--engine', 'zero')
