"""Published files: written by `publish_model.py`, loaded alone."""
import os
import re
import sys

import pytest
import torch
from mmaction.apis import (MMAction2Inferencer, inference_recognizer,
                           init_recognizer)
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.fileio import dump
from safetensors.torch import load_file, save_file

import cast_mmaction
from cast_mmaction.checkpoints import CheckpointError, trained_only
from cast_mmaction.checkpoints.reading import sha256_of
from cast_mmaction.foreign_config import (check_config, parse_config,
                                          standalone)
from cast_mmaction.hub import from_pretrained
from tests.conftest import ROOT
from tests.sounding import write_sounding
from tests.test_checkpoints.layouts import SIZES, randomize
from tests.toy import load_tool

tool = load_tool('checkpoints/publish_model')


@pytest.fixture
def model(tmp_path):
    """A trained small model, beside its config and expert."""
    expert = dict(type='VideoMAEExpert', **SIZES)
    torch.save(MODELS.build(expert).state_dict(), tmp_path / 'expert.pth')
    pipeline = [
        dict(type='DecordInit'),
        dict(
            type='UniformSample', clip_len=4, num_clips=2, test_mode=True),
        dict(type='DecordDecode'),
        dict(type='Resize', scale=(-1, 32)),
        dict(type='ThreeCrop', crop_size=32),
        dict(type='FormatShape', input_format='NCTHW'),
        dict(type='PackActionInputs')
    ]
    cfg = dict(
        model=dict(
            type='Recognizer3D',
            backbone=dict(
                type='AdaptedExpert',
                expert=dict(
                    expert, pretrained=str(tmp_path / 'expert.pth'))),
            cls_head=dict(type='LinearHead', in_channels=32, num_classes=5),
            data_preprocessor=dict(
                type='ActionDataPreprocessor', format_shape='NCTHW')),
        test_dataloader=dict(
            dataset=dict(
                type='VideoDataset',
                ann_file='lists/val.txt',
                pipeline=pipeline)))
    Config(cfg).dump(str(tmp_path / 'small.py'))
    model = MODELS.build(cfg['model'])
    model.init_weights()
    moved = [p for p in model.parameters() if p.requires_grad]
    randomize(torch.nn.ParameterList(moved))
    return model


@pytest.fixture
def publish(tmp_path, model):
    """Publishes the model and gives the folder."""

    def publish(state_dict=None, **more):
        torch.save({'state_dict': state_dict or model.state_dict(), **more},
                   tmp_path / 'epoch_1.pth')
        tool.main([
            str(tmp_path / 'small.py'),
            str(tmp_path / 'epoch_1.pth'),
            str(tmp_path / 'out'), '--result', 'top-1 85.3', '--license',
            'cc-by-nc-4.0'
        ])
        return tmp_path / 'out'

    return publish


def weights_in(folder):
    return next(folder.glob('*.safetensors'))


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_a_name_with_date_and_hash(publish):
    folder = publish()
    file = weights_in(folder)
    digest = re.fullmatch(r'small_\d{8}-(\w{8})\.safetensors', file.name)[1]
    assert sha256_of(file).startswith(digest)
    assert sorted(os.listdir(folder)) == ['README.md', file.name]
    card = folder / 'README.md'
    assert file.stat().st_mode == card.stat().st_mode  # readers' rights too


def test_the_card(publish):
    card = (publish() / 'README.md').read_text()
    for said in ('small.py', 'VideoDataset, `val.txt`',
                 '2 clips x 3 crops, 4 frames each', 'top-1 85.3',
                 'VideoMAEExpert, from', 'expert.pth', 'cc-by-nc-4.0'):
        assert said in card, said


def test_the_views_of_the_recipes():
    cfg = Config.fromfile(ROOT / 'configs/cast_k400.py')
    assert tool.views_of(cfg.test_dataloader.dataset.pipeline) == (
        '5 clips x 3 crops, 16 frames each')


@pytest.mark.parametrize('which', ['folder', 'file'])
def test_ready_without_config_and_experts(publish, model, tmp_path, which):
    folder = publish()
    for name in ('small.py', 'expert.pth', 'epoch_1.pth'):
        (tmp_path / name).unlink()
    loaded = cast_mmaction.from_pretrained(
        folder if which == 'folder' else weights_in(folder))
    assert same(loaded.state_dict(), model.state_dict())
    assert not loaded.training


def test_a_checkpoint_without_its_experts_is_completed(publish, model):
    with trained_only(model):
        small = model.state_dict()
    file = weights_in(publish(small))
    assert same(load_file(file), model.state_dict())


@pytest.mark.parametrize('told, expected', [(None, 'bfloat16'),
                                            ('float32', 'float32')])
def test_used_as_it_was_trained(publish, model, tmp_path, monkeypatch, told,
                                expected):
    monkeypatch.setattr('cast_mmaction.precision.HALVES_ON', 'cpu')
    folder = publish(meta=dict(precision='bfloat16'))
    loaded, clip = from_pretrained(folder, precision=told), torch.zeros(
        1, 1, 3, 4, 32, 32)
    found = []
    loaded.backbone.register_forward_hook(
        lambda module, args, out: found.append(
            torch.is_autocast_enabled('cpu')))
    loaded(clip, mode='tensor')
    assert found == [expected == 'bfloat16']


def test_held_in_half_precision_in_the_training(publish, model, tmp_path):
    cfg = Config.fromfile(tmp_path / 'small.py')
    expert = cfg.model.backbone.pop('expert')
    spatial = dict(type='CLIPExpert', **SIZES)
    cfg.model.backbone = dict(
        type='CAST', spatial=spatial, temporal=expert, frozen_dtype='bfloat16')
    cfg.model.cls_head.type = 'CASTHead'
    cfg.dump(str(tmp_path / 'small.py'))
    trained = MODELS.build(cfg.model)
    loaded = from_pretrained(publish(trained.state_dict()))
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    loaded.backbone(torch.zeros(1, 3, 4, 32, 32))  # without autocast


def test_scores_a_video(publish, shared):
    video = str(shared / 'clips/arm_wrestling.mp4')
    scores = inference_recognizer(from_pretrained(publish()), video).pred_score
    assert scores.shape == (5, ) and scores.sum().item() == pytest.approx(1)


def test_a_repository_of_the_hub(publish, model, monkeypatch):
    folder = publish()
    asked = []

    def snapshot_download(hub_id, **kwargs):
        asked.append(hub_id)
        return str(folder)

    monkeypatch.setattr('huggingface_hub.snapshot_download',
                        snapshot_download)
    loaded = from_pretrained('someone/cast-b')
    assert asked == ['someone/cast-b']
    assert same(loaded.state_dict(), model.state_dict())


def test_the_hub_is_an_extra(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'huggingface_hub', None)
    with pytest.raises(ImportError, match=r'cast-mmaction\[hub\]'):
        from_pretrained('someone/cast-b')


def test_what_is_nowhere():
    with pytest.raises(CheckpointError, match='/no/such/model: there is no'):
        from_pretrained('/no/such/model')


def test_a_folder_without_a_file(tmp_path):
    with pytest.raises(CheckpointError, match='found none'):
        from_pretrained(tmp_path)


def test_a_file_of_someone_else(tmp_path):
    save_file({'a': torch.ones(1)}, tmp_path / 'a.safetensors')
    with pytest.raises(CheckpointError, match='a.safetensors: holds no config'):
        from_pretrained(tmp_path)


def test_a_file_that_is_no_file(tmp_path):
    (tmp_path / 'a.safetensors').write_text('Not Found')
    with pytest.raises(CheckpointError, match='a.safetensors: damaged'):
        from_pretrained(tmp_path)


RECOGNIZER = dict(
    type='Recognizer3D',
    backbone=dict(type='VideoMAEExpert', **SIZES),
    cls_head=dict(type='LinearHead', in_channels=32, num_classes=5))


def refused(tmp_path, match, model=RECOGNIZER, pipeline=(), text=None):
    """A file with a config that must not be built."""
    config = text or repr(dict(model=model, test_pipeline=list(pipeline)))
    save_file({'a': torch.ones(1)}, tmp_path / 'a.safetensors',
              {'config': config})
    with pytest.raises(CheckpointError, match=f'a.safetensors: .*{match}'):
        from_pretrained(tmp_path)


@pytest.mark.parametrize('attack', [
    'os.mkdir', 'subprocess.run', 'a:b', 'mmengine.load',
    'mmengine.call_command', 'this', 'mmengine.this', 'mmaction.Linear',
    'Resize', ['Recognizer3D'], b'TSNHead'
])
@pytest.mark.parametrize('place', ['model', 'backbone', 'deep', 'pipeline'])
def test_a_config_cannot_call_anything(tmp_path, attack, place):
    sys.modules.pop('this', None)
    bad, model, pipeline = dict(type=attack), dict(RECOGNIZER), []
    if place == 'pipeline':
        bad['type'] = 'LinearHead' if attack == 'Resize' else attack
        pipeline = [dict(type='RandomApply', transforms=[bad])]
    elif place == 'model':
        model = bad
    else:
        model['backbone'] = bad if place == 'backbone' else dict(
            RECOGNIZER['backbone'], options=[({}, dict(norm=bad))])
    refused(tmp_path, 'refused.*(which is no registered|holds a bytes)',
            model, pipeline)
    assert 'this' not in sys.modules


@pytest.mark.parametrize('change, reason', [
    (dict(_scope_='this'), "'this', which is no registered"),
    (dict(type='CLIPSimilarity'), 'no registered'),
    (dict(pretrained='http://127.0.0.1/x.pth'), 'sets pretrained'),
    (dict(init_cfg=dict(type='Pretrained')), 'sets init_cfg'),
    (dict(arch=dict(embed_dims=10**9)), 'number 1e.09'),
    (dict(arch=dict(embed_dims=2**15, num_layers=2**15, num_heads=1)),
     'larger than its weights'),
    (dict(num_frames=1e300), 'number 1e.300'),
    (dict(unknown=1), 'makes no model .TypeError'),
    (dict(arch=None), 'makes no model'),
    (dict(arch={(1, 2): 3}), 'a key in its config'),
    (dict(arch=eval('[' * 60 + ']' * 60)), 'more than 32 levels'),
    (dict(arch=[0] * 20000), 'or 16384 values'),
])
def test_options_that_no_model_has(tmp_path, change, reason):
    sys.modules.pop('this', None)
    model = dict(RECOGNIZER, backbone=dict(RECOGNIZER['backbone'], **change))
    refused(tmp_path, reason, model)
    assert 'this' not in sys.modules


@pytest.mark.parametrize('text', [
    "__import__('os').mkdir('ran')", 'dict(**{})', 'model = x', '[1, 2]',
    'import os', 'model = (lambda: 1)()', '-' * 100000 + '1', '[' * 10000,
    "dict(model='" + 'x' * 2**21 + "')", '{[]: 1}', 'a = b = 1', '7', '{**{}}'
])
def test_a_config_cannot_be_a_program(tmp_path, text):
    refused(tmp_path, 'no plain data', text=text)


@pytest.mark.parametrize('text', ["dict(model=1)", '{}', "{'model': {}}"])
def test_a_config_needs_a_model(tmp_path, text):
    refused(tmp_path, 'has no model', text=text)


def test_a_config_needs_a_pipeline(tmp_path):
    refused(tmp_path, 'no test_pipeline', text=repr(dict(model=RECOGNIZER)))


def test_the_recipes_are_not_refused(monkeypatch):
    """What the host looks up in tables of its own included."""
    # It lays the texts out with yapf, which takes a minute for all of them.
    monkeypatch.setattr('mmengine.config.config.FormatCode',
                        lambda text, **style: (text, True))
    files = [
        path for path in (ROOT / 'configs').glob('**/*.py')
        if '_base_' not in path.parts
    ]
    assert len(files) > 40
    for path in files:
        cfg = Config.fromfile(path)
        config = standalone(
            dict(
                model=cfg.model,
                test_pipeline=cfg.test_dataloader.dataset.pipeline))
        check_config(parse_config(repr(config), path.name), path.name)
        assert parse_config(cfg.pretty_text, path.name)['model']


def test_a_wrong_checkpoint_is_not_published(publish, model, tmp_path):
    wrong = model.state_dict()
    del wrong['cls_head.fc_cls.bias']
    with pytest.raises(SystemExit, match='epoch_1.pth.*cls_head.fc_cls.bias'):
        publish(wrong)
    assert not (tmp_path / 'out').exists()


def test_the_names_of_the_classes(publish, model, tmp_path):
    names = dict(classes=['a', 'b', 'c', 'd', 'e'])
    torch.save(
        dict(state_dict=model.state_dict(), meta=dict(dataset_meta=names)),
        tmp_path / 'named.pth')
    tool.main([
        str(tmp_path / 'small.py'),
        str(tmp_path / 'named.pth'),
        str(tmp_path / 'named')
    ])
    loaded = from_pretrained(tmp_path / 'named')
    assert loaded.dataset_meta == names
    assert '5 labels (a, b, c, d, e)' in (
        tmp_path / 'named/README.md').read_text()
    assert from_pretrained(publish()).dataset_meta == {}


def test_the_names_of_a_checkpoint(model, tmp_path):
    names = dict(classes=['a', 'b', 'c', 'd', 'e'])
    torch.save(
        dict(state_dict=model.state_dict(), meta=dict(dataset_meta=names)),
        tmp_path / 'named.pth')
    loaded = init_recognizer(
        str(tmp_path / 'small.py'), str(tmp_path / 'named.pth'), 'cpu')
    assert loaded.dataset_meta == names


def test_a_model_of_the_index_answers_by_its_name(publish, tmp_path,
                                                  monkeypatch):
    weights = weights_in(publish())
    dump(
        dict(Models=[
            dict(Name='Small', Config='small.py', Weights=str(weights))
        ]), str(tmp_path / 'metafile.yml'))
    dump(dict(Import=['metafile.yml']), str(tmp_path / 'model-index.yml'))
    monkeypatch.setattr('cast_mmaction.config_names.MIM', tmp_path)
    video = write_sounding(tmp_path / 'video.mp4', None)
    answer, = MMAction2Inferencer(rec='small')(video)['predictions']
    expected = inference_recognizer(from_pretrained(weights), video)
    assert answer['rec_scores'] == [
        pytest.approx(expected.pred_score.tolist())
    ]
    assert answer['rec_labels'] == [expected.pred_label.tolist()]
