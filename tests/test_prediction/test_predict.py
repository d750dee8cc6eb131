"""Answers by name, from the API and from the command line."""
import csv
import json

import av
import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config

from cast_mmaction import predict
from cast_mmaction.prediction import best_guesses
from cast_mmaction.prediction.cli import find_videos, open_model
from cast_mmaction.prediction.predictor import (model_input_pipeline,
                                                sliding_windows)
from tests.toy import load_tool

main = load_tool('predict').main

VERBS, NOUNS = ['cut', 'put', 'wash'], ['bread', 'hand']


def write_video(path, seconds=2, rate=8):
    path.parent.mkdir(exist_ok=True)
    rng = np.random.RandomState(0)
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('mpeg4', rate=rate)
        stream.width, stream.height = 64, 48
        for _ in range(seconds * rate):
            frame = av.VideoFrame.from_ndarray(
                rng.randint(0, 255, (48, 64, 3), np.uint8), 'rgb24')
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def config_of(two_labels):
    expert = dict(
        arch=dict(embed_dims=16, num_layers=1, num_heads=2),
        img_size=32,
        num_frames=4)
    head = dict(
        type='VerbNounHead', num_verbs=3, num_nouns=2) if two_labels else dict(
            type='CASTHead', num_classes=3)
    pipeline = [
        dict(type='VideoInit'),
        dict(
            type='ClipSampleFrames',
            mode='uniform',
            clip_len=4,
            num_clips=2,
            test_mode=True),
        dict(type='VideoDecode'),
        dict(type='ShortSideResize', size=32),
        dict(type='ThreeViewCrop', crop_size=32),
        dict(type='FormatShape', input_format='NCTHW'),
        dict(type='PackVerbNounInputs'
             if two_labels else 'PackActionInputs'),
    ]
    return Config(
        dict(
            default_scope='mmaction',
            model=dict(
                type='Recognizer3D',
                backbone=dict(
                    type='CAST',
                    spatial=dict(type='CLIPExpert', **expert),
                    temporal=dict(type='VideoMAEExpert', **expert)),
                cls_head=dict(
                    in_channels=16, average_clips='prob', **head),
                data_preprocessor=dict(
                    type='ActionDataPreprocessor', format_shape='NCTHW')),
            test_pipeline=pipeline,
            test_dataloader=dict(dataset=dict(pipeline=pipeline))))


def recognizer(two_labels=False):
    cfg = config_of(two_labels)
    model = MODELS.build(cfg.model).eval()
    model.cfg = cfg
    model.dataset_meta = dict(
        verb_classes=VERBS, noun_classes=NOUNS) if two_labels else dict(
            classes=VERBS)
    return model


def test_best_guesses():
    scores = dict(verb=torch.tensor([.2, .5, .3]), noun=torch.tensor([.9, .1]))
    top = best_guesses(scores, dict(verb=VERBS, noun=NOUNS), 2)
    assert [g.name for g in top['verb']] == ['put', 'wash']
    assert [g.name for g in top['action']] == ['put bread', 'wash bread']
    assert top['action'][0].score == pytest.approx(.45)


def test_the_best_pairs_are_those_of_all_pairs():
    torch.manual_seed(0)
    scores = dict(verb=torch.rand(7), noun=torch.rand(9))
    pairs = torch.outer(scores['verb'], scores['noun']).flatten()
    top = best_guesses(scores, {}, 5)['action']
    assert [g.score for g in top] == pytest.approx(
        pairs.topk(5).values.tolist())


def test_names_of_other_classes():
    with pytest.raises(ValueError, match='4 label scores, but 3 names'):
        best_guesses(torch.rand(4), dict(label=VERBS), 5)


def test_without_names_numbers():
    top = best_guesses(torch.tensor([.1, .9]), {}, 5)
    assert [g.name for g in top['label']] == ['1', '0']


@pytest.mark.parametrize('two_labels', [False, True])
def test_a_video(tmp_path, two_labels):
    model = recognizer(two_labels)
    answer, = predict(model, str(write_video(tmp_path / 'a.mp4')))
    tasks = {'verb', 'noun', 'action'} if two_labels else {'label'}
    assert set(answer.top) == tasks and answer.error is None
    for task in tasks - {'action'}:
        scores = [guess.score for guess in answer.top[task]]
        assert scores == sorted(scores, reverse=True)
        assert sum(scores) == pytest.approx(1, abs=1e-4)


def test_batches_give_the_same_answers(tmp_path):
    model = recognizer()
    videos = [str(write_video(tmp_path / f'{i}.mp4', 1 + i))
              for i in range(3)]
    (tmp_path / 'bad.mp4').write_bytes(b'no video')
    videos.insert(1, str(tmp_path / 'bad.mp4'))
    single = list(predict(model, videos))
    batched = list(predict(model, videos, batch_size=3))
    assert [a.video for a in batched] == videos
    assert 'bad.mp4' in batched[1].error and not batched[1].top
    for one, other in zip(single, batched):
        assert one.top.keys() == other.top.keys()
        for task in one.top:
            assert [g.score for g in one.top[task]] == pytest.approx(
                [g.score for g in other.top[task]], abs=1e-5)


def test_one_view_is_one_clip_in_the_middle():
    steps = model_input_pipeline(config_of(False), single_view=True)
    assert steps[1]['num_clips'] == 1 and steps[4]['type'] == 'CenterCrop'


@pytest.mark.parametrize('length, expected', [
    (3., [(0, 3)]),
    (10., [(0, 4), (2, 6), (4, 8), (6, 10)]),
    (9., [(0, 4), (2, 6), (4, 8), (6, 9)]),
])
def test_sliding_windows(length, expected):
    assert sliding_windows(length, 4, 2) == expected
    # Windows that do not overlap still cover everything.
    windows = sliding_windows(length, 4, 4)
    assert windows[0][0] == 0 and windows[-1][1] == length
    assert all(a[1] == b[0] for a, b in zip(windows, windows[1:]))


@pytest.mark.parametrize('options, message', [
    (dict(top_k=0), 'at least 1'), (dict(window=-1), 'above 0'),
    (dict(stride=1), 'stride needs a window')])
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        list(predict(recognizer(), [], **options))


def test_find_videos(tmp_path):
    a, b = (str(write_video(tmp_path / 'v' / name, 1))
            for name in ('a.mp4', 'b b.mkv'))
    assert find_videos(a) == [a]
    assert find_videos(str(tmp_path / 'v')) == [a, b]
    listing = tmp_path / 'list.txt'
    listing.write_text('v/a.mp4 3\nv/b b.mkv 1\n')
    assert find_videos(str(listing)) == [a, b]
    listing.write_text('v/b b.mkv\n')
    assert find_videos(str(listing)) == [b]
    table = tmp_path / 'list.csv'
    table.write_text('file,label\n"v/b b.mkv",x\n')
    assert find_videos(str(table)) == [b]
    table.write_text('file,label\nv/c.mp4,x\n')
    with pytest.raises(ValueError, match="line 2: 'v/c.mp4' is no file"):
        find_videos(str(table))
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match='no video in this folder'):
        find_videos(str(tmp_path / 'empty'))


@pytest.fixture
def command(tmp_path, capsys):
    """The command line on a model of two labels."""
    model = recognizer(True)
    meta = dict(dataset_meta=model.dataset_meta)
    torch.save(dict(state_dict=model.state_dict(), meta=meta),
               tmp_path / 'model.pth')
    model.cfg.dump(str(tmp_path / 'config.py'))

    def call(*args):
        with pytest.raises(SystemExit) as stop:
            main([*map(str, args), '--config', str(tmp_path / 'config.py'),
                  '--checkpoint', str(tmp_path / 'model.pth'), '--device',
                  'cpu'])
        return stop.value.code, capsys.readouterr().out

    return call


def test_the_command(command, tmp_path):
    video = write_video(tmp_path / 'a.mp4', 4)
    code, out = command(
        video, '--window', 2, '--out', tmp_path / 'a.csv', '--chart',
        tmp_path / 'a.png', '--draw', tmp_path / 'drawn', '--single-view')
    assert code == 0 and 'a.mp4  0.0 to 2.0 s' in out
    with open(tmp_path / 'a.csv') as file:
        rows = list(csv.DictReader(file))
    assert {row['start'] for row in rows} == {'0.0', '1.0', '2.0'}
    assert {row['task'] for row in rows} == {'verb', 'noun', 'action'}
    assert (tmp_path / 'a.png').stat().st_size > 5000
    with av.open(str(tmp_path / 'drawn/a.mp4')) as drawn:
        assert sum(1 for _ in drawn.decode(video=0)) == 32
        stream = drawn.streams.video[0]
        assert stream.width == 320 and stream.height > 240


def test_an_unreadable_video_is_told(command, tmp_path):
    write_video(tmp_path / 'v/a.mp4')
    (tmp_path / 'v/bad.mp4').write_bytes(b'no video')
    code, out = command(tmp_path / 'v', '--out', tmp_path / 'a.json')
    assert code == 1 and 'cannot be read' in out
    answers = json.loads((tmp_path / 'a.json').read_text())
    assert [bool(answer['error']) for answer in answers] == [False, True]
    assert len(answers[0]['top']['action']) == 5


@pytest.mark.parametrize('args, message', [
    (['absent.mp4'], 'error: absent.mp4: there is no such file'),
    ([__file__], 'cannot be read'),
])
def test_bad_sources(command, args, message):
    code, out = command(*args)
    assert message in f'{code}{out}'


def test_the_chart_of_several_videos(command, tmp_path):
    for name in 'ab':
        write_video(tmp_path / f'v/{name}.mp4', 1)
    code, _ = command(tmp_path / 'v', '--window', 1, '--chart',
                      tmp_path / 'c.png')
    assert code.startswith('error: --chart draws one video')


def test_no_model(capsys):
    with pytest.raises(SystemExit) as stop:
        main([__file__])
    assert stop.value.code == (
        'error: which model? Give --model FILE_OR_ID, or both --config and '
        '--checkpoint')


def test_a_work_dir_is_a_model(tmp_path):
    model = recognizer(True)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'epoch_2.pth')
    (tmp_path / 'last_checkpoint').write_text('/elsewhere/epoch_2.pth')
    with pytest.raises(ValueError, match='one config is expected'):
        open_model(str(tmp_path), 'cpu')
    model.cfg.dump(str(tmp_path / 'mine.py'))
    (tmp_path / '20260101_120000.py').touch()
    found = open_model(str(tmp_path), 'cpu').state_dict()
    assert all(torch.equal(found[k], x) for k, x in model.state_dict().items())
