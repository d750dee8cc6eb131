import importlib.util
import json

import pytest

from tests.conftest import ROOT

SPEC = importlib.util.spec_from_file_location('report',
                                              ROOT / 'tools/results/report.py')
report = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(report)

# Table 2 of the paper: H.M. of SSv2 and K400, and of all four.
MEANS = {
    'CLIP': (59.5, 56.5),
    'VideoMAE': (75.8, 66.6),
    'AIM': (75.4, 66.7),
    'ST-Adapter': (75.5, 67.3),
    'CAST': (77.9, 71.6)
}


def log(folder, **figures):
    path = folder / '20260101_000000'
    path.mkdir(parents=True)
    (path / f'{path.name}.json').write_text(
        json.dumps({k.replace('__', '/'): v
                    for k, v in figures.items()}))
    return folder


@pytest.mark.parametrize('method', MEANS)
def test_the_published_means_follow_from_the_published_figures(method):
    row = report.gather([])[f'{method} (published)']
    for key, mean in zip(('ssv2_k400', 'all'), MEANS[method]):
        # Their inputs are rounded: the last digit may differ.
        assert row[key] == pytest.approx(mean, abs=.11)


def test_own_results_stand_beside_them(tmp_path, capsys):
    ek = log(
        tmp_path / 'ek',
        all__verb_top1=70.,
        all__noun_top1=60.,
        all__action_top1=50.)
    ssv2 = log(tmp_path / 'ssv2', acc__top1=.6, acc__top5=.9)
    log(tmp_path / 'k400', acc__top1=.8)
    report.main([
        '--method', 'ours', f'ek100={ek}', f'ssv2={ssv2}',
        f'k400={tmp_path}/k400/20260101_000000/20260101_000000.json',
        '--method', 'half', f'ek100={ek}', '--out', str(tmp_path / 'out')
    ])
    text = (tmp_path / 'out/balance.md').read_text()
    assert text.strip() in capsys.readouterr().out
    assert ('| ours | 70.0 | 60.0 | 50.0 | 64.6 | 60.0 | 80.0 | 68.6 | 66.5 |'
            in text)
    assert '| half | 70.0 | 60.0 | 50.0 | 64.6 | - | - | - | - |' in text
    assert '| CAST (published) | 72.5 | 60.9 | 49.3 |' in text
    assert (tmp_path / 'out/balance.png').stat().st_size > 0


def test_wrong_results_are_named(tmp_path, capsys):
    folder = log(tmp_path / 'ssv2', acc__top1=.6)
    with pytest.raises(KeyError, match='ssv2.*all/action_top1.*ek100'):
        report.main(['--method', 'ours', f'ek100={folder}'])
    with pytest.raises(FileNotFoundError, match='nowhere'):
        report.main(['--method', 'ours', 'ssv2=nowhere'])
    with pytest.raises(SystemExit):
        report.main(['--method', 'ours', 'ucf=nowhere'])
    assert 'ek100, ssv2, k400' in capsys.readouterr().err
