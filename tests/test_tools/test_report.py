import importlib.util
import json

import numpy as np
import pytest
import torch

from cast_mmaction.evaluation import per_class
from cast_mmaction.evaluation.balance import NAMES
from cast_mmaction.evaluation.curves import read_curves
from cast_mmaction.evaluation.dumps import write_samples
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
    out = ['--out', str(tmp_path / 'out')]
    with pytest.raises(SystemExit, match='ssv2.*all/action_top1.*ek100'):
        report.main(['--method', 'ours', f'ek100={folder}', *out])
    with pytest.raises(SystemExit, match='nowhere'):
        report.main(['--method', 'ours', 'ssv2=nowhere', *out])
    with pytest.raises(SystemExit):
        report.main(['--method', 'ours', 'ucf=nowhere'])
    assert 'ek100, ssv2, k400' in capsys.readouterr().err


def test_the_tool_knows_the_data_sets_of_the_package():
    assert report.DATA_SETS == tuple(NAMES)


# trainings and dumps

VERBS, NOUNS = ['open', 'close', 'cut'], ['door', 'knife']


def training(folder, name, losses, accuracy):
    """What a training logs: two steps a line, then a validation."""
    path = folder / name / '20260101_000000/vis_data'
    path.mkdir(parents=True)
    lines = [
        dict(loss=x, lr=.1, time=1., epoch=1, iter=2 * i, step=2 * i)
        for i, x in enumerate(losses, 1)
    ]
    lines.append({'all/action_top1': accuracy, 'step': 1, 'time': 2.})
    (path / 'scalars.json').write_text('\n'.join(map(json.dumps, lines)))
    return folder / name


def dump(path, verbs, nouns, truth, labels=True, names=True):
    """A dump that answers with given verbs and nouns."""
    samples = []
    for i, (verb, noun) in enumerate(zip(verbs, nouns)):
        sample = dict(
            narration_id=f'P01_1_{i}',
            pred_score=dict(
                verb=.1 + .7 * torch.eye(3)[verb],
                noun=.2 + .6 * torch.eye(2)[noun]))
        if labels:
            sample.update(
                gt_verb=torch.tensor([truth[i][0]]),
                gt_noun=torch.tensor([truth[i][1]]))
        samples.append(sample)
    write_samples(
        str(path), samples,
        dict(verb_classes=VERBS, noun_classes=NOUNS) if names else None)
    return path


TRUTH = [(0, 0), (0, 0), (1, 1), (2, 1)]


@pytest.fixture
def dumps(tmp_path):
    """One model that always says 'open' and 'door', one that is right but
    for one verb."""
    return (dump(tmp_path / 'a.pkl', [0] * 4, [0] * 4, TRUTH),
            dump(tmp_path / 'b.pkl', [0, 0, 1, 1], [0, 0, 1, 1], TRUTH))


def test_one_page_holds_all_of_it(tmp_path, dumps, capsys):
    runs = [training(tmp_path, name, losses, accuracy) for name, losses,
            accuracy in (('one', [3., 2.], 40.), ('two', [3., 1.], 50.))]
    out = tmp_path / 'out'
    report.main([
        '--run', f'old={runs[0]}', f'new={runs[1]}', '--dump',
        f'old={dumps[0]}', f'new={dumps[1]}', '--out', str(out)
    ])
    page = (out / 'report.html').read_text()
    pictures = {x.stem for x in out.glob('*.png')}
    assert pictures == {
        'curves', 'differences', 'confusion-0-verb', 'confusion-0-noun',
        'confusion-1-verb', 'confusion-1-noun'
    }
    assert page.count('data:image/png;base64,') == len(pictures)
    assert 'http' not in page and 'src="data:' in page
    assert '<td>new</td><td>4</td><td>1.000</td>' in page
    # 'cut' is taken for 'close' by the new one, by name.
    assert '<td>cut</td><td>close</td><td>1</td><td>100</td>' in page
    assert '75.0 % of 4 clips are right' in page
    assert not (out / 'balance.md').exists()
    assert 'report.html' in capsys.readouterr().out


def test_classes_that_differ_come_by_name(dumps):
    a, b = (per_class.read_answers(str(x)) for x in dumps)
    rows = per_class.f1_differences(a['verb'], b['verb'], 5)
    assert [name for name, *_ in rows] == ['close', 'open', 'cut']
    assert rows[0] == ('close', pytest.approx(100 * 2 / 3), 1)
    table = per_class.confusion(a['noun'])
    np.testing.assert_allclose(table, [[100, 0], [100, 0]])
    few = per_class.f1_differences(a['verb'], b['verb'], 1)
    assert [name for name, *_ in few] == ['close', 'cut']


def test_curves_of_a_training_that_went_on(tmp_path):
    folder = training(tmp_path, 'one', [3., 2., 1.], 40.)
    second = folder / '20260102_000000/vis_data'
    second.mkdir(parents=True)
    (second / 'scalars.json').write_text(
        json.dumps(dict(loss=1.5, iter=6, step=6)))
    curves = read_curves(folder)
    assert curves['loss'] == ([2, 4, 6], [3., 2., 1.5])
    assert curves['all/action_top1'] == ([6], [40.])
    assert 'time' not in curves
    with pytest.raises(FileNotFoundError, match='no training'):
        read_curves(tmp_path / 'nowhere')


def test_a_dump_without_names_or_labels(tmp_path):
    path = str(dump(tmp_path / 'c.pkl', [0] * 4, [0] * 4, TRUTH, labels=False,
                    names=False))
    with pytest.raises(ValueError, match='P01_1_0.*--annotations'):
        per_class.read_answers(path)
    split = tmp_path / 'list.csv'
    split.write_text(''.join(f'P01_1_{i},{v},{n}\n'
                             for i, (v, n) in enumerate(TRUTH)))
    answers = per_class.read_answers(path, str(split))
    assert answers['verb'].names == ['class 0', 'class 1', 'class 2']
    assert answers['noun'].truth.tolist() == [0, 0, 1, 1]


def test_an_unreadable_video_is_taken_for_no_class(tmp_path):
    write_samples(
        str(tmp_path / 'd.pkl'), [
            dict(
                pred_score=torch.eye(3)[i],
                gt_label=torch.tensor([i]),
                unreadable=i == 1) for i in range(3)
        ], dict(classes=VERBS))
    answers = per_class.read_answers(str(tmp_path / 'd.pkl'))['label']
    assert answers.predicted.tolist() == [0, 3, 2]
    assert answers.names == VERBS
    assert per_class.confusion(answers).sum(axis=1).tolist() == [100, 0, 100]
    assert per_class.most_confused(answers, 9) == []


@pytest.mark.parametrize('arguments, message', [
    (['--dump', 'a.pkl'], 'NAME=PATH'),
    (['--run', 'a=b', 'a=c'], 'twice'),
    (['--method', 'ours', 'imagenet=b'], 'data set of ek100'),
])
def test_wrong_arguments(arguments, message, capsys):
    with pytest.raises(SystemExit):
        report.parse_args(arguments)
    assert message in capsys.readouterr().err


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(SystemExit, match='error: .*nowhere'):
        report.main(['--run', f'a={tmp_path}/nowhere', '--out',
                     str(tmp_path / 'out')])
