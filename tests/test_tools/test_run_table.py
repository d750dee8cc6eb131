import importlib
import json

import pytest
import torch
from mmengine.config import Config

from tests.conftest import ROOT


@pytest.fixture
def tool(monkeypatch):
    """tools/evidence/run_table.py, its trainings and tests replaced by a record."""
    monkeypatch.syspath_prepend(str(ROOT / 'tools/evidence'))
    module = importlib.import_module('table_rows')
    command = importlib.import_module('run_table')
    module.main, module.parse_args = command.main, command.parse_args
    module.load_tables = command.load_tables
    module.calls, module.fails = [], set()

    def call(script, run, gpus, config, *arguments):
        arguments = list(arguments)
        folder = arguments[arguments.index('--work-dir') + 1]
        module.calls.append((script, config.stem, arguments, gpus))
        if (script, config.stem) in module.fails:
            raise SystemExit(f'{script} failed')
        if script == 'train':
            torch.save(dict(meta=dict(iter=12)), folder / 'epoch_2.pth')
            (folder / 'last_checkpoint').write_text(
                str(folder / 'epoch_2.pth'))
        else:
            value = 10 * len(config.stem)
            name = folder.parent.name
            # In a search the middle rate is the best, for one row the last.
            last = 9 if config.stem == 'ratio_one' else 1
            seed = {'lr0.1': 5, 'lr0.2': 7, 'lr0.4': last}.get(name)
            seed = int(name[-1]) if seed is None else seed
            keys = ('all/verb_top1', 'all/noun_top1', 'all/action_top1',
                    'all/harmonic_mean')
            log = folder / '20260101_000000'
            log.mkdir(parents=True)
            (log / f'{log.name}.json').write_text(
                json.dumps({key: value + seed for key in keys}))

    monkeypatch.setattr(module, 'DEMO', module.DEMO)  # restored at the end
    monkeypatch.setattr(module, 'call', call)
    return module


def trained(tool):
    return [c[1] for c in tool.calls if c[0] == 'train']


def test_rows_run_one_after_another_and_are_reported(tool, tmp_path, capsys):
    tool.main(['table1g', '--seeds', '0', '2', '--work-dir', str(tmp_path)])
    assert trained(tool) == 2 * ['s2t_only'] + 2 * ['t2s_only'] + 2 * ['cast']
    text = (tmp_path / 'demo/table1g.md').read_text()
    assert text in capsys.readouterr().out
    assert '| S2T only | 81.0 ± 1.4 | 81.0 ± 1.4' in text
    assert '| 71.2 | 55.0 | 43.7 |' in text
    assert '| 0.004 | 12 |' in text  # learning rate, optimizer steps
    assert (tmp_path / 'demo/table1g.png').stat().st_size > 0


def test_finished_rows_are_skipped_and_broken_ones_go_on(tool, tmp_path):
    tool.fails = {('test', 't2s_only')}
    arguments = ['table1g', '--work-dir', str(tmp_path)]
    with pytest.raises(SystemExit, match='test failed'):
        tool.main(arguments)
    assert trained(tool) == ['s2t_only', 't2s_only']
    assert 'S2T only' in (tmp_path / 'demo/table1g.md').read_text()
    tool.calls.clear()
    tool.fails = set()
    tool.main(arguments)
    assert trained(tool) == ['t2s_only', 'cast']
    assert all('--resume' in c[2] for c in tool.calls
               if c[0] == 'train')
    tool.calls.clear()
    tool.main(['table1d', '--work-dir', str(tmp_path)])  # shares CAST
    assert trained(tool) == ['ratio_eighth', 'ratio_quarter', 'ratio_one']


def test_several_at_a_time(tool, tmp_path):
    tool.main([
        'table1g', '--jobs', '2', '--seeds', '0', '1', '--work-dir',
        str(tmp_path)
    ])
    assert sorted(trained(tool)) == 2 * ['cast'] + 2 * ['s2t_only'] + 2 * [
        't2s_only'
    ]
    text = (tmp_path / 'demo/table1g.md').read_text()
    assert '2 run(s) a row' in text


def test_a_failure_shows_the_end_of_the_log(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'tools/evidence'))
    module = importlib.import_module('table_rows')
    run = module.Run('cast', None, tmp_path, 0, ())
    with pytest.raises(SystemExit) as error:
        module.call('train', run, 1, tmp_path / 'missing.py')
    assert 'missing.py' in str(error.value)
    assert str(tmp_path / 'output.log') in str(error.value)


def test_runs_of_other_settings_are_not_mixed(tool, tmp_path):
    arguments = ['table8', '--rows', 'cast', '--work-dir', str(tmp_path)]
    tool.main(arguments)
    with pytest.raises(SystemExit, match='another --work-dir'):
        tool.main(arguments + ['--cfg-options', 'train_cfg.max_epochs=1'])


def test_pairs_of_experts(tool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('one', 'two'):
        (tmp_path / name).mkdir()
        for role in ('spatial', 'temporal'):
            (tmp_path / name / f'{role}.pth').touch()
    tool.main([
        'table1g', '--rows', 't2s_only', '--seeds', '0', '1', '--experts',
        'one', 'two', '--work-dir', '.'
    ])
    assert len(trained(tool)) == 4
    text = (tmp_path / 'demo/table1g.md').read_text()
    assert [x for x in text.splitlines() if x.startswith('## ')] == [
        '## Experts one', '## Experts two', '## All pairs'
    ]
    cfg = Config.fromfile(tmp_path /
                          'demo/two/t2s_only/seed1/config/t2s_only.py')
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
    assert tool.calls[0][3] == 8


def give_training_list(tool, tmp_path):
    """40 clips, which the demo's config then names."""
    rows = ''.join(f'train_{i:06},1,2\n' for i in range(40))
    (tmp_path / 'train.csv').write_text('narration_id,verb,noun\n' + rows)
    base = Config.fromfile(tool.DEMO)
    base.train_dataloader.dataset.ann_file = str(tmp_path / 'train.csv')
    base.dump(tmp_path / 'demo.py')
    tool.DEMO = tmp_path / 'demo.py'


def test_the_learning_rate_is_searched_without_the_test_set(tool, tmp_path):
    give_training_list(tool, tmp_path)
    tool.main([
        'table8', '--rows', 'no_positions', '--seeds', '3', '4', '--lrs',
        '0.1', '0.2', '0.4', '--work-dir', str(tmp_path)
    ])
    assert trained(tool) == 5 * ['no_positions']
    row = tmp_path / 'demo/experts/no_positions'
    parts = [
        f'{split}_dataloader.dataset.ann_file={row}/search/{split}.csv'
        for split in ('train', 'test')
    ]
    options = [c[2][c[2].index('--cfg-options') + 1:] for c in tool.calls]
    for i, lr in enumerate((.1, .2, .4)):
        expected = [*parts, f'optim_wrapper.optimizer.lr={lr}']
        assert options[2 * i] == options[2 * i + 1] == expected
    assert options[6:] == 4 * [['optim_wrapper.optimizer.lr=0.2']]
    lines = [(row / f'search/{split}.csv').read_text().splitlines()
             for split in ('train', 'test')]
    assert [len(x) for x in lines] == [37, 5]
    assert not set(lines[0][1:]) & set(lines[1][1:])
    assert '| 0.2 | 12 |' in (tmp_path / 'demo/table8.md').read_text()


def test_every_row_searches_its_own_learning_rate(tool, tmp_path):
    give_training_list(tool, tmp_path)
    rates = {'0.1', '0.2', '0.4'}
    tool.main([
        'table1d', '--rows', 'ratio_one', 'cast', '--lrs', *sorted(rates),
        '--work-dir', str(tmp_path)
    ])
    chosen = {c[1]: c[2][-1] for c in tool.calls[-4:]}
    assert chosen == {
        'ratio_one': 'optim_wrapper.optimizer.lr=0.4',
        'cast': 'optim_wrapper.optimizer.lr=0.2'
    }
    assert len(trained(tool)) == 2 * (len(rates) + 1)


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


PEERS = 'peers --seeds 0 --work-dir'.split()


def test_peers_are_ranked_by_what_they_reach(tool, tmp_path, monkeypatch):
    """Under one protocol, with their costs and the published points."""
    reached = {'evl': 50., 'cast_demo': 70., 'tsm': 60.}
    call = tool.call

    def record(script, run, gpus, config, *arguments):
        call(script, run, gpus, config, *arguments)
        log = run.folder / 'test/20260101_000000/20260101_000000.json'
        if log.exists():
            figures = json.loads(log.read_text())
            log.write_text(
                json.dumps(dict.fromkeys(figures, reached[config.stem])))
        return dict(cpu_seconds=61., memory=345.)

    monkeypatch.setattr(tool, 'call', record)
    tool.main([*PEERS, str(tmp_path), '--rows', 'peer_evl', 'peer_cast',
               'peer_tsm'])
    lines = (tmp_path / 'demo/peers.md').read_text().splitlines()
    head = next(i for i, x in enumerate(lines) if x.startswith('| row'))
    assert [x.split(' | ')[0] for x in lines[head + 2:head + 5]] == [
        '| CAST', '| TSM (MMAction2)', '| EVL']
    assert lines[head].endswith('| multiply-adds G | CPU s | memory MB |')
    assert lines[head + 2].endswith('| 0.061 | 61 | 345 |')
    assert '| 72.5 | 60.9 | 49.3 |' in lines[head + 2]
    assert 'tables 2 and 9' in '\n'.join(lines)
    assert (tmp_path / 'demo/peers.png').stat().st_size > 10000


def test_every_peer_has_a_config_for_each_profile(tool, tmp_path):
    """They take the clips of their profile and answer with its classes."""
    for profile, classes, size in (('demo', 16, (8, 40)), ('paper', 397,
                                                           (16, 224))):
        for name in tool.peers():
            run = tool.Run(name, None, tmp_path, 0, ())
            path = tool.write_config(run, profile)
            cfg = Config.fromfile(path)
            assert tool.clip_size(cfg, 'test') == size, path
            model = tool.build_model(cfg)
            assert model.cls_head.num_classes == classes, path
            if profile == 'demo':
                giga = tool.multiply_adds(model, cfg) / 1e9
                assert .02 < giga < .13, path
                assert cfg.train_dataloader.dataset.ann_file == 'train.csv'


def test_the_multiply_adds_of_cast(tool, tmp_path):
    run = tool.Run('peer_cast', None, tmp_path, 0, ())
    cfg = Config.fromfile(tool.write_config(run, 'paper'))
    model = tool.build_model(cfg)
    row = tool.peers()['peer_cast']
    assert tool.multiply_adds(model, cfg) / 1e9 == pytest.approx(
        row['paper']['giga'], abs=.05)


def test_peers_on_real_sets_are_trained_as_they_are(tool, tmp_path):
    tool.main([*PEERS, str(tmp_path), '--profile', 'paper', '--gpus', '8',
               '--rows', 'peer_swin'])
    text = (tmp_path / 'paper/peers.md').read_text()
    assert '| Video Swin (MMAction2) |' in text and '| 43.9 |' in text
    assert trained(tool) == ['swin-tiny_in1k-pre_8xb8-uniform-16-30e_'
                             'ek100-rgb']


def test_what_a_training_took_on_a_gpu(tmp_path, monkeypatch):
    folder = tmp_path / '20260101_000000/vis_data'
    folder.mkdir(parents=True)
    (folder / 'scalars.json').write_text(
        '{"loss": 1.0, "memory": 900}\n{"loss": 1.0, "memory": 1200}\n'
        '{"all/action_top1": 3.0}\n')
    monkeypatch.syspath_prepend(str(ROOT / 'tools/evidence'))
    module = importlib.import_module('table_rows')
    assert module.gpu_memory(tmp_path) == dict(memory=1200)
    assert module.gpu_memory(tmp_path / 'nowhere') == {}


def test_rows_of_the_demo_build_on_it(tool, tmp_path):
    tables = tool.load_tables()['tables']
    configs = {
        row['config']
        for table in tables.values() if 'demo' in table['profiles']
        for row in table['rows']
    }
    for name in sorted(configs):
        run = tool.Run(name, None, tmp_path / name, 0, ())
        cfg = Config.fromfile(tool.write_config(run, 'demo'))
        model = tool.build_model(cfg)
        assert model.cls_head.num_classes == 16, name


def test_both_ways_to_augment_are_compared(tool, tmp_path, capsys):
    """The same steps, fused or not, with the same seeds."""
    module = importlib.import_module('run_fused')
    fused, single = module.pipelines().values()
    assert sum(step.get('lazy', False) for step in fused) == 4
    assert not any('lazy' in step for step in single)
    assert [step['type'] for step in single] == [
        step['type'] for step in fused if step['type'] != 'FuseClip']
    assert single[5]['scale'] == (40, 40)
    module.main([str(tmp_path), '--seeds', '0', '2'])
    assert trained(tool) == 4 * ['augmented']
    out = capsys.readouterr().out
    assert '| steps | 91.0 ± 1.4 | 91.0 ± 1.4 | 91.0 ± 1.4 |' in out
    assert '| fused - steps, by seed | 0.0 ± 0.0 |' in out
    module.main([str(tmp_path), '--seeds', '0', '2'])
    assert len(trained(tool)) == 4  # done before
    with pytest.raises(SystemExit, match='other options'):
        module.main([str(tmp_path), '--cfg-options', 'a=1'])
