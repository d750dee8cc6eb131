"""Exported files compute what their models compute, and say what they are."""
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from cast_mmaction import predict
from cast_mmaction.export.cli import export, read_views
from cast_mmaction.export.description import NotExported
from cast_mmaction.export.program import read_onnx, read_pt2
from tests.test_models.peers import TINY, build
from tests.test_prediction.test_predict import (NOUNS, VERBS, config_of,
                                                recognizer, write_video)
from tests.toy import ROOT, load_tool

main = load_tool('export').main
parse_args = load_tool('export').parse_args

SIZE = dict(arch=TINY, img_size=32, num_frames=4)
PEERS = dict(
    EVL=dict(num_decoder_layers=2, cross_frame=True),
    AIM={},
    STAdapter=dict(adapter_dims=8, places=['ffn']),
    SpaceTimeViT=dict(scheme='divided'))
READERS = {'.onnx': read_onnx, '.pt2': read_pt2}


def spread(model):
    """Weights that make every input another answer."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=.2, generator=generator)
    return model.eval()


def peer(name):
    model = build(dict(type=name, **SIZE, **PEERS[name]), 10, in_channels=16)
    model.cfg = config_of(False)
    return model


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp('clips') / 'a.mp4', 2)


@pytest.fixture
def onnx():
    for package in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(package, reason='.onnx needs the extra "export"')


def outputs(path, clips):
    run, about = READERS[path.suffix](path)
    return run(clips.astype(np.float32)), about


def test_pt2_of_every_model(tmp_path, video):
    """Of any number of views, with what is to know beside it."""
    models = dict(cast=recognizer(), **{name: peer(name) for name in PEERS})
    for name, model in models.items():
        spread(model)
        views = read_views(model, [str(video)])  # 2 clips, 3 crops
        assert views.shape == (6, 3, 4, 32, 32)
        found = export(model, tmp_path / f'{name}.pt2', views, dynamic=True,
                       normalize=True)
        assert found.clips == 6
        assert found.top1_agreement == dict(label=1.)
        scores, about = outputs(tmp_path / f'{name}.pt2', views[:5])
        with torch.no_grad():
            batch = dict(inputs=[torch.from_numpy(views[:5])],
                         data_samples=[])
            clips = model.data_preprocessor(batch)['inputs'].flatten(0, 1)
            expected = model.cls_head(model.backbone(clips))
        np.testing.assert_allclose(scores[0], expected, rtol=1e-4, atol=1e-5)
        assert about['agreement'] == found.as_dict()
        assert about['batch'] == 'any' and about['normalise']['inside']


@pytest.mark.slow
@pytest.mark.parametrize('name', ['cast', *PEERS])
def test_onnx_of_every_model(name, tmp_path, video, onnx):
    model = spread(recognizer(True) if name == 'cast' else peer(name))
    views = read_views(model, [str(video)])
    found = export(model, tmp_path / 'x.onnx', views, dynamic=True)
    assert found.max_abs_difference < 1e-4
    assert set(found.top1_agreement.values()) == {1.}
    scores, about = outputs(tmp_path / 'x.onnx', views[:1])
    assert [len(x) for x in scores] == [1] * len(scores)
    assert list(about['outputs']) == (
        ['verb', 'noun'] if name == 'cast' else ['label'])


@pytest.mark.slow
def test_smaller_numbers(tmp_path, video, onnx):
    model = spread(recognizer(True))
    views = read_views(model, [str(video)])
    sizes = {}
    for name, precision in (('a.onnx', 'float32'), ('b.onnx', 'float16'),
                            ('c.onnx', 'int8'), ('d.onnx', 'int8-static'),
                            ('a.pt2', 'float32'), ('b.pt2', 'bfloat16')):
        found = export(model, tmp_path / name, views, 2, precision=precision)
        assert 0 < found.max_abs_difference < .1 * found.largest or \
            precision == 'float32'
        # Batches of two are what the file takes.
        scores, about = outputs(tmp_path / name, views[:2])
        assert [x.shape for x in scores] == [(2, 3), (2, 2)]
        assert about['precision'] == precision and about['batch'] == 2
        assert scores[0].dtype == np.float32
        sizes[name] = (tmp_path / name).read_bytes()
    import onnx as files
    kinds = {
        name: {node.op_type
               for node in files.load(tmp_path / name).graph.node}
        for name in sizes if name.endswith('.onnx')
    }
    assert 'MatMulInteger' in kinds['c.onnx'] - kinds['a.onnx']
    assert 'QuantizeLinear' in kinds['d.onnx'] - kinds['a.onnx']
    assert next(model.parameters()).dtype == torch.float32


def script(model, folder):
    """A model's config and checkpoint, as arguments."""
    torch.save(dict(state_dict=model.state_dict(), meta=dict(
        dataset_meta=model.dataset_meta)), folder / 'model.pth')
    model.cfg.dump(str(folder / 'config.py'))
    return ['--config', str(folder / 'config.py'), '--checkpoint',
            str(folder / 'model.pth')]


@pytest.mark.slow
@pytest.mark.parametrize('normalize', [[], ['--normalize']])
def test_without_us(normalize, tmp_path, video, onnx, capsys):
    """The example, which imports nothing of ours, says what `predict` says."""
    model = spread(recognizer(True))
    out = tmp_path / 'cast.onnx'
    main([str(out), *script(model, tmp_path), '--clips', str(video),
          *normalize])
    assert 'same best class: verb 100.0 %' in capsys.readouterr().out
    example = ROOT / 'tools/checkpoints/predict_onnx.py'
    assert len(example.read_text().splitlines()) <= 41
    code = f'import sys; sys.modules.update(cast_mmaction=None, torch=None, ' \
        f'mmaction=None); sys.argv = {[str(example), str(out), str(video)]}; '
    done = subprocess.run(
        [sys.executable, '-c', code + 'exec(open(sys.argv[0]).read(), {})'
         .replace('sys.argv[0]', repr(str(example)))],
        capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = {}
    for line in done.stdout.splitlines():
        task, score, name = line.split(maxsplit=2)
        said.setdefault(task, {})[name] = float(score)
    assert set(said['verb']) == set(VERBS) and set(said['noun']) == set(NOUNS)
    answer = next(predict(model, str(video), single_view=True))
    for task in ('verb', 'noun'):
        for guess in answer.top[task]:
            assert said[task][guess.name] == pytest.approx(
                guess.score, abs=.02)


def test_what_is_to_know(tmp_path, video):
    model = spread(recognizer(True))
    export(model, tmp_path / 'x.pt2', read_views(model, [str(video)]))
    about = read_pt2(tmp_path / 'x.pt2')[1]
    assert about['input']['shape'] == ['views', 3, 4, 32, 32]
    assert about['sampling']['mode'] == 'uniform'
    assert about['sampling']['clip_len'] == 4
    assert about['sampling']['num_clips'] == 2
    assert about['resize']['short_side'] == 32
    assert about['crop'] == dict(size=32, where='three along the long side')
    assert about['other_steps'] == []
    assert about['outputs']['noun']['classes'] == NOUNS
    assert about['normalise'] == dict(
        mean=[0, 0, 0], std=[1, 1, 1], inside=False)
    assert about['agreement']['clips'] == 6
    assert json.loads(json.dumps(about)) == about


@pytest.mark.parametrize('out, args, reason', [
    ('x.tflite', [], "ends in .onnx or .pt2, not in '.tflite'"),
    ('x.pt2', ['--precision', 'int8'], "'int8' is no precision of .pt2"),
    ('x.onnx', ['--precision', 'int3'], 'choose float32, float16, int8'),
    ('x.pt2', ['--checkpoint', 'gone.pth'], 'gone.pth: there is no such file'),
    ('x.pt2', ['--clips', 'gone'], 'gone: there is no such file or folder'),
    ('file/x.pt2', [], 'file'),
])
def test_wrong_arguments(out, args, reason, tmp_path, video, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('file').touch()
    files = script(recognizer(True), tmp_path)
    before = sorted(os.listdir())
    with pytest.raises(SystemExit, match=f'error: .*{reason}'):
        main([out, *files, '--clips', str(video), *args])
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize('args', [['--batch', '0'], ['--num-clips', '0'],
                                  ['--device', 'cuda']])
def test_wrong_numbers(args, capsys):
    with pytest.raises(SystemExit):
        parse_args(['x.pt2', '--clips', 'x', *args])
    assert args[0] in capsys.readouterr().err


def test_models_that_hear_are_refused(tmp_path, video):
    model = recognizer(True)
    model.cfg.test_pipeline[-1]['collect_keys'] = ('imgs', 'audio')
    with pytest.raises(NotExported, match='the model hears'):
        export(model, tmp_path / 'x.pt2', np.zeros((1, 3, 4, 32, 32)))
    assert not os.listdir(tmp_path)


def test_a_file_that_computes_something_else_is_not_written(
        tmp_path, video, monkeypatch):
    model = spread(recognizer(True))
    views = read_views(model, [str(video)])

    def wrong(path):
        run, about = read_pt2(path)
        return lambda clips: [x + 1 for x in run(clips)], about

    monkeypatch.setattr('cast_mmaction.export.cli.read_pt2', wrong)
    with pytest.raises(NotExported, match='would compute something else'):
        export(model, tmp_path / 'x.pt2', views)
    assert not os.listdir(tmp_path)
