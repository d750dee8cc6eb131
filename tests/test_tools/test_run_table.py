import importlib.util
import json

import pytest
import torch
from mmengine.config import Config

from tests.conftest import ROOT


@pytest.fixture
def tool(monkeypatch):
    """tools/run_table.py, its trainings and tests replaced by a record."""
    spec = importlib.util.spec_from_file_location('run_table',
                                                  ROOT / 'tools/run_table.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.calls, module.fails = [], set()

    def call(script, config, *arguments):
        arguments = list(arguments)
        folder = arguments[arguments.index('--work-dir') + 1]
        module.calls.append((script, config.stem, arguments))
        if (script, config.stem) in module.fails:
            raise SystemExit(f'{script} failed')
        if script == 'dist_train.sh':
            torch.save(dict(meta=dict(iter=12)), folder / 'epoch_2.pth')
            (folder / 'last_checkpoint').write_text(
                str(folder / 'epoch_2.pth'))
        else:
            value = 10 * len(config.stem)
            seed = int(folder.parent.name[-1])
            keys = ('all/verb_top1', 'all/noun_top1', 'all/action_top1',
                    'all/harmonic_mean')
            log = folder / '20260101_000000'
            log.mkdir(parents=True)
            (log / f'{log.name}.json').write_text(
                json.dumps({key: value + seed for key in keys}))

    monkeypatch.setattr(module, '_call', call)
    return module


def trained(tool):
    return [c[1] for c in tool.calls if c[0] == 'dist_train.sh']


def test_rows_run_one_after_another_and_are_reported(tool, tmp_path, capsys):
    tool.main(['table1g', '--seeds', '0', '2', '--work-dir', str(tmp_path)])
    assert trained(tool) == 2 * ['s2t_only'] + 2 * ['t2s_only'] + 2 * ['cast']
    text = (tmp_path / 'demo/table1g.md').read_text()
    assert text in capsys.readouterr().out
    assert '| S2T only | 81.0 ± 1.4 | 81.0 ± 1.4' in text
    assert '| 71.2 | 55.0 | 43.7 |' in text
    assert '| 12 |' in text  # optimizer steps
    assert (tmp_path / 'demo/table1g.png').stat().st_size > 0


def test_finished_rows_are_skipped_and_broken_ones_go_on(tool, tmp_path):
    tool.fails = {('dist_test.sh', 't2s_only')}
    arguments = ['table1g', '--work-dir', str(tmp_path)]
    with pytest.raises(SystemExit, match='dist_test.sh failed'):
        tool.main(arguments)
    assert trained(tool) == ['s2t_only', 't2s_only']
    assert 'S2T only' in (tmp_path / 'demo/table1g.md').read_text()
    tool.calls.clear()
    tool.fails = set()
    tool.main(arguments)
    assert trained(tool) == ['t2s_only', 'cast']
    assert all('--resume' in c[2] for c in tool.calls
               if c[0] == 'dist_train.sh')
    tool.calls.clear()
    tool.main(['table1d', '--work-dir', str(tmp_path)])  # shares CAST
    assert trained(tool) == ['ratio_eighth', 'ratio_quarter', 'ratio_one']


def test_runs_of_other_settings_are_not_mixed(tool, tmp_path):
    arguments = ['table8', '--rows', 'cast', '--work-dir', str(tmp_path)]
    tool.main(arguments)
    with pytest.raises(SystemExit, match='another --work-dir'):
        tool.main(arguments + ['--cfg-options', 'train_cfg.max_epochs=1'])


def test_pairs_of_experts(tool, tmp_path):
    for name in ('one', 'two'):
        (tmp_path / name).mkdir()
        for role in ('spatial', 'temporal'):
            (tmp_path / name / f'{role}.pth').touch()
    tool.main([
        'table1g', '--rows', 't2s_only', '--seeds', '0', '1', '--experts',
        str(tmp_path / 'one'), str(tmp_path / 'two'), '--work-dir',
        str(tmp_path)
    ])
    assert len(trained(tool)) == 4
    text = (tmp_path / 'demo/table1g.md').read_text()
    assert [x for x in text.splitlines() if x.startswith('## ')] == [
        '## Experts one', '## Experts two', '## All pairs and seeds'
    ]
    cfg = Config.fromfile(tmp_path / 'demo/two/t2s_only/seed1/t2s_only.py')
    backbone = cfg.model.backbone
    assert backbone.temporal.pretrained == str(tmp_path / 'two/temporal.pth')
    assert backbone.exchange.directions == ['t2s']


def test_the_paper_profile_takes_the_rows_as_they_are(tool, tmp_path):
    tool.main([
        'table7', '--profile', 'paper', '--rows', 'eva_mvd', '--gpus', '8',
        '--work-dir', str(tmp_path)
    ])
    text = (tmp_path / 'paper/table7.md').read_text()
    assert '| EVA + MVD |' in text and '44.785' in text
    assert tool.calls[0][2][0] == 8


@pytest.mark.parametrize('arguments, message', [
    (['table9'], 'invalid choice'),
    (['table7'], 'use --profile paper'),
    (['table1d', '--rows', 'cats'], 'ratio_eighth'),
    (['table1d', '--experts', 'nowhere'], 'nowhere/spatial.pth'),
])
def test_wrong_arguments(tool, arguments, message, capsys):
    with pytest.raises(SystemExit):
        tool.parse_args(arguments)
    assert message in capsys.readouterr().err


def test_rows_of_the_demo_build_on_it(tool, tmp_path):
    tables = tool.load_tables()['tables']
    configs = {
        row['config']
        for table in tables.values() if 'demo' in table['profiles']
        for row in table['rows']
    }
    for name in sorted(configs):
        run = tool.Run(name, 0, None, tmp_path / name)
        run.folder.mkdir()
        cfg = Config.fromfile(tool.write_config(run, 'demo'))
        model = tool.build_model(cfg)
        assert model.cls_head.num_classes == 16, name
