import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmaction.datasets.transforms import PackActionInputs

from tests.conftest import ROOT

sys.path.append(str(ROOT / 'tools/benchmarks'))
import benchmark  # noqa: E402
import benchmark_data  # noqa: E402
import benchmark_model  # noqa: E402
import benchmark_sound  # noqa: E402

SMALL = argparse.Namespace(
    arch='tiny', frames=4, size=32, batch=2, device='cpu')


def run(tmp_path, *argv):
    """Runs the tool; gives the rows of the tables it writes, by file."""
    benchmark.main([*argv, '--device', 'cpu', '--json', f'{tmp_path}/table'])
    return {
        path.name: json.loads(path.read_text())['rows']
        for path in tmp_path.iterdir()
    }


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp('video') / 'video.mp4'
    return benchmark_data.make_video(str(path), 80, 96, 64)


def test_the_eager_twin_computes_the_same():
    twin, cast = (
        benchmark_model.Contender(dict(type=name), SMALL, torch.float32)
        for name in ('EagerTwin', 'CAST'))
    cast.model.load_state_dict(twin.model.state_dict())
    torch.testing.assert_close(
        twin.forward(), cast.forward(), rtol=1e-4, atol=1e-6)
    gradients = []
    for contender in (twin, cast):
        contender.model.train()
        contender.scores().square().mean().backward()
        gradients.append([p.grad for p in contender.model.parameters()])
    for actual, expected in zip(*gradients):
        torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1e-7)


def test_the_eager_twin_keeps_more_and_computes_more():
    twin, cast = (
        benchmark_model.Contender(
            dict(type=name),
            argparse.Namespace(**{**vars(SMALL), 'frames': 16, 'size': 96}),
            torch.float32) for name in ('EagerTwin', 'CAST'))
    cast.training(), twin.training()
    assert cast.peak(cast.training) < twin.peak(twin.training)
    flops = [benchmark_model._flops(x, x.training) for x in (twin, cast)]
    assert flops[1] < 1.3 * flops[0]  # its backward attends once more


def test_table_of_speed(tmp_path):
    tables = run(tmp_path, 'model', '--arch', 'tiny', '--frames', '4',
                 '--size', '32', '--rounds', '2', '--dtype', 'bfloat16',
                 '--baseline-dtype', 'float32', '--options', 'half', 'with_cp')
    assert tables.keys() == {'table.forward.json', 'table.training.json'}
    for rows in tables.values():
        names = [row['model'] for row in rows]
        assert names[:4] == [
            'eager twin, float32', 'CAST, bfloat16', 'CAST, bfloat16, half',
            'CAST, bfloat16, with_cp'
        ]
        assert rows[0]['time / twin'] == dict(median=1., low=1., high=1.)
        assert all(row['seconds']['low'] > 0 for row in rows)
    same = [row['difference'] for row in tables['table.forward.json'][1:3]]
    assert same[0] == same[1]  # half precision held or cast: one result


GROWTH = ('model', '--table', 'growth', '--arch', 'tiny', '--frames', '4',
          '--size', '32', '--rounds', '1')


def test_table_of_growth(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark_model, 'GROWTH',
                        [dict(frames=8), dict(arch='large')])
    rows = run(tmp_path, *GROWTH, '--max-batch', '4')['table.growth.json']
    assert [row['model'].split(', ', 1)[1] for row in rows] == [
        '4 x 32 x 32, batch 1', '8 x 32 x 32, batch 1',
        '4 x 32 x 32, batch 2', '4 x 32 x 32, batch 4'
    ]
    assert [row['x FLOP'] for row in rows[2:]] == ['2.00, 2.00', '4.00, 4.00']


def test_clips_grow_until_memory_is_full(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark_model, 'GROWTH', [])
    row, = run(tmp_path, *GROWTH, '--max-batch', '1')['table.growth.json']
    memory = 4.5 * float(row['training peak GB'])
    monkeypatch.setattr(benchmark_model, 'memory_size', lambda _: memory *
                        1e9 / benchmark_model.USABLE_MEMORY)
    rows = run(tmp_path, *GROWTH)['table.growth.json']
    assert memory / 2 < float(rows[-1]['training peak GB']) <= memory


@pytest.fixture
def little_memory(monkeypatch):
    """Too little for the eager twin, and for 8 frames."""
    scores = benchmark_model.Contender.scores

    def try_to(self):
        if self.kernel is not None or self.clip.shape[2] == 8:
            raise torch.OutOfMemoryError('as CUDA says it')
        return scores(self)

    monkeypatch.setattr(benchmark_model.Contender, 'scores', try_to)


def test_what_does_not_fit_is_left_out(tmp_path, little_memory, monkeypatch):
    tables = run(tmp_path, 'model', '--arch', 'tiny', '--frames', '4',
                 '--size', '32', '--rounds', '1')
    for rows in tables.values():
        assert rows[0]['seconds'] == 'out of memory'
        assert rows[1]['seconds']['low'] > 0 and 'time / twin' not in rows[1]

    monkeypatch.setattr(benchmark_model, 'GROWTH', [dict(frames=8)])
    rows = run(tmp_path, *GROWTH, '--max-batch', '2')['table.growth.json']
    assert [isinstance(row['forward s'], dict) for row in rows] == [
        True, False, True]
    with pytest.raises(SystemExit, match='8 x 32 x 32.* lower --batch'):
        run(tmp_path, *GROWTH, '--frames', '8')


def test_half_without_autocast_is_refused():
    with pytest.raises(SystemExit, match='needs --dtype'):
        benchmark.main(
            ['model', '--arch', 'tiny', '--options', 'half', '--frames', '4',
             '--size', '32', '--device', 'cpu'])


def test_the_made_video_is_an_ordinary_one(video):
    assert benchmark_data.video_facts(video) == dict(
        video='96x64, 80 frames, h264')
    frames = benchmark_data.READERS['pyav'](video).read([0, 40])
    assert abs(frames[0].astype(int) - frames[1]).mean() > 5  # it moves


def test_tables_of_feeding(tmp_path, video):
    """Of a folder, and what is left to the device."""
    folder = Path(video).parent
    row, = run(tmp_path, 'data', '--table', 'feeding', '--video', str(folder),
               '--rounds', '1')['table.feeding.json']
    assert row['file'] == folder.name
    assert row['time of that / recipe']['median'] > 0
    rows = run(
        tmp_path, 'data', '--table', 'device', '--batch', '2', '--frame-size',
        '96', '128', '--rounds', '1')['table.device.json']
    on_worker, rgb, planes = (float(row['MB sent']) for row in rows)
    assert on_worker > rgb > planes  # 224 x 224 is larger


@pytest.mark.parametrize('table, ways', [('reading', 8), ('augmentation', 5),
                                         ('stages', 12), ('loader', 1),
                                         ('memory', 2)])
def test_tables_of_data(tmp_path, video, table, ways):
    tables = run(tmp_path, 'data', '--table', table, '--video', video,
                 '--rounds', '1', '--workers', '0', '--clips', '16')
    assert len(max(tables.values(), key=len)) >= ways


@pytest.mark.slow
def test_table_of_training(tmp_path):
    tables = run(tmp_path, 'train', '--rounds', '3', '--batch', '1',
                 '--settings', '0', '--width', '32', '--layers', '1')
    row, = tables['table.train.json']
    assert 0 <= float(row['waiting for data'].rstrip('%')) <= 100


def test_log(tmp_path):
    tables = run(tmp_path, 'log', '--rounds', '1', '--history', '10', '1500',
                 '--iterations', '20')
    names = [row['log'] for row in tables['table.log.json']]
    assert names == [
        f'{way}after {length}'
        for way in ('', 'copied arrays, ', 'saving ')
        for length in ('10', '1,500')
    ]
    # 1,000 values and counts of ten keys at most, and some names.
    sizes = [row['kB'] for row in tables['table.log-checkpoint.json']]
    assert sizes[0] < sizes[1] < 180


def test_what_hearing_costs(tmp_path):
    tables = run(tmp_path, 'model', '--table', 'hearing', '--arch', 'tiny',
                 '--frames', '4', '--size', '32', '--sound-frames', '36',
                 '--rounds', '1')
    for kind in ('forward', 'training'):
        rows = tables[f'table.{kind}.json']
        assert [row['model'] for row in rows] == ['CAST', 'CAVA', 'CA2ST']
        assert float(rows[2]['FLOP / CAST']) > 1


def test_what_sound_costs_to_read(tmp_path, tmp_path_factory, video):
    path = str(tmp_path_factory.mktemp('sound') / 'sounding.mp4')
    benchmark_sound.add_sound(video, path)
    tables = run(tmp_path, 'sound', '--video', path, '--rounds', '1')
    for last in ('VideoDecode', 'PackActionInputs'):
        rows = tables[f'table.sound-{last}.json']
        words = [row['way'].split()[0] for row in rows]
        assert words == ['frames', 'with', 'the', *5 * ['with']]
        assert rows[0]['/ frames alone'] == dict(median=1., low=1., high=1.)


def test_sound_does_not_change_which_pictures_are_read(video, monkeypatch):
    seen = []
    monkeypatch.setattr(benchmark_sound, 'CLIPS', 3)
    monkeypatch.setattr(PackActionInputs, 'transform',
                        lambda self, results: seen.append(results['imgs']))
    for frames in (0, 40):
        benchmark_sound.reader(benchmark_sound.steps(frames), video)()
    assert len(seen) == 6
    for mute, heard in zip(seen[:3], seen[3:]):
        assert (mute == heard).all()


@pytest.mark.slow
def test_feeding_against_another_checkout(tmp_path, video):
    """Here against itself: as fast, but for the device's part."""
    done = subprocess.run(
        [sys.executable, ROOT / 'tools/benchmarks/compare_feeding.py', ROOT,
         Path(video).parent, '--rounds', '1', '--clips', '8'],
        capture_output=True,
        text=True)
    assert done.returncode == 0, done.stderr
    head, rule, row = done.stdout.strip().splitlines()
    assert 'augment_on_device / before' in head
    assert 'and two of a video / before' in head
    assert Path(video).parent.name in row
