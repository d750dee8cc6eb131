"""The generated set with sound, its expert, its configs and its table."""
import subprocess
import sys

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from cast_mmaction.spectrograms.fbank import fbank
from cast_mmaction.evaluation.dumps import write_samples
from mmaction.apis import inference_recognizer
from mmaction.registry import DATASETS, MODELS
from tests.conftest import ROOT
from tests.sounding import write_sounding

sys.path.append(str(ROOT / 'tools' / 'demo'))
import expert_training  # noqa: E402
import make_clips  # noqa: E402
import shapes  # noqa: E402
import sound_table  # noqa: E402
import sounds  # noqa: E402

CONFIGS = [
    ROOT / 'configs/demo/ca2st_demo.py',
    *sorted((ROOT / 'configs/demo/sound').glob('*.py'))
]
LOOKS = len(shapes.NOUNS)


def generator(i):
    return np.random.default_rng([7, i])


def test_pictures_are_those_of_the_set_without_sound():
    for i in range(20):
        clip, _, verb, noun = sounds.draw_clip(generator(i))
        plain = shapes.draw_clip(generator(i))
        assert (clip == plain[0]).all()
        assert (verb, noun % LOOKS) == plain[1:]


def test_the_material_is_heard_while_the_shape_moves(monkeypatch):
    signs = dict(wooden=1., metal=-1., hum=0., hiss=0.)
    monkeypatch.setattr(
        sounds, 'STROKES', {
            name: lambda rng, sign=sign: np.full(sounds.STEP, sign, np.float32)
            for name, sign in signs.items()
        })
    materials = set()
    for i in range(20):
        _, sound, _, noun = sounds.draw_clip(generator(i))
        moving = shapes.draw_scene(generator(i))[3]
        level = sound.reshape(shapes.FRAMES, sounds.STEP).mean(axis=1)
        material = noun // LOOKS
        own = level > 0.05 if material == 0 else level < -0.05
        assert (own == moving).all()
        assert (abs(level[~moving]) < 0.01).all()
        materials.add(material)
    assert materials == {0, 1}


def test_masks_tell_when_a_sound_is_heard():
    for i in range(20):
        spectrogram, label, mask = sounds.draw_sound(generator(i))
        assert spectrogram.shape == (1, sounds.NUM_FRAMES, sounds.NUM_MEL_BINS)
        assert 0 <= label < len(sounds.SOUNDS) and 0 < mask.mean() < 1
        loud = spectrogram[0].max(axis=1)
        # Strokes die away, but no noise is as loud as they are on average.
        assert loud[mask].mean() > loud[~mask].mean() + 1


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Four test clips with sound."""
    folder = tmp_path_factory.mktemp('demo_sound')
    (folder / 'clips').mkdir()
    make_clips.write_classes(folder / 'verb_classes.csv', shapes.VERBS)
    make_clips.write_classes(folder / 'noun_classes.csv', sounds.NOUNS)
    make_clips.write_split(folder, 'test', 4, 0, 1, sound=True)
    return folder


def test_written_clips_keep_textures_and_sound(folder):
    cfg = Config.fromfile(CONFIGS[0]).test_dataloader.dataset
    cfg.data_root = str(folder)
    dataset = DATASETS.build(cfg)
    for i, item in enumerate(dataset):
        clip, sound, verb, noun = sounds.draw_clip(
            make_clips.generator(0, 'test', i))
        assert item['data_samples'].gt_verb == verb
        assert item['data_samples'].gt_noun == noun
        assert item['data_samples'].missing_sound == ''
        seen = item['inputs']['imgs'][0].permute(1, 2, 3, 0)
        brightness = [x.astype(float).mean(-1) for x in (seen.numpy(), clip)]
        assert np.corrcoef(*(x.ravel() for x in brightness))[0, 1] > 0.97
        drawn = fbank(
            torch.from_numpy(sound), sounds.RATE, sounds.NUM_MEL_BINS)
        heard = item['inputs']['audio'][0, 0]
        pair = torch.stack([drawn[1:1 + len(heard)], heard]).flatten(1)
        assert torch.corrcoef(pair)[0, 1] > 0.9


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_every_model_of_the_table_learns_from_the_files(path, folder):
    cfg = Config.fromfile(path)
    dataset = cfg.train_dataloader.dataset
    dataset.update(data_root=str(folder), ann_file='test.csv')
    dataset = DATASETS.build(dataset)
    model = MODELS.build(cfg.model)
    batch = [dataset[0], dataset[1]]
    data = model.data_preprocessor(pseudo_collate(batch), training=True)
    losses = model(**data, mode='loss')
    (losses['loss_verb'] + losses['loss_noun']).backward()
    assert all(
        x.grad is not None for x in model.cls_head.parameters())
    model.eval()
    with torch.no_grad():
        scores = model.test_step(pseudo_collate(batch))[0].pred_score
    assert scores['verb'].shape == (8, ) and scores['noun'].shape == (16, )


def test_a_video_is_recognised_with_and_without_sound(folder, tmp_path):
    cfg = Config.fromfile(CONFIGS[0])
    for expert in cfg.model.backbone.experts.values():
        expert.pretrained = None
    model = MODELS.build(cfg.model).eval()
    model.cfg = cfg
    sounding = folder / 'clips/test_000000.mp4'
    mute = write_sounding(tmp_path / 'mute.mp4', None)
    found = [
        inference_recognizer(model, str(path)) for path in (sounding, mute)
    ]
    assert [bool(x.missing_sound) for x in found] == [False, True]
    for sample in found:
        assert sample.pred_score['noun'].sum().item() == pytest.approx(1)


def test_pretraining_of_the_audio_expert(tmp_path, monkeypatch):
    cfg = Config.fromfile(CONFIGS[0])
    monkeypatch.setitem(expert_training.TASKS, 'audio',
                        expert_training.TASKS['audio']._replace(batch=4))
    monkeypatch.setattr(expert_training, 'WARMUP', 1)
    expert_training.train(
        'audio', tmp_path / 'audio.pth', cfg, seed=0, steps=2)
    audio = dict(
        cfg.model.backbone.experts.audio,
        pretrained=str(tmp_path / 'audio.pth'))
    expert = MODELS.build(audio)
    expert.init_weights()
    saved = torch.load(tmp_path / 'audio.pth', weights_only=True)
    assert torch.equal(expert.norm.weight, saved['norm.weight'])


def test_the_table_halves_the_nouns(tmp_path):
    """A model that sees all and hears nothing."""
    rows, labels = [], ['narration_id,verb,noun']
    for i in range(8):
        noun = torch.full((16, ), 0.)
        noun[i] = 0.6  # always of wood
        noun[LOOKS + i] = 0.4
        verb = torch.eye(8)[i]
        rows.append(
            dict(
                narration_id=f'test_{i}',
                pred_score=dict(verb=verb, noun=noun)))
        labels.append(f'test_{i},{i},{i + LOOKS * (i % 2)}')
    for seed in (0, 1):
        run = tmp_path / f'runs/cast/seed{seed}'
        run.mkdir(parents=True)
        write_samples(str(run / 'predictions.pkl'), rows)
    (tmp_path / 'test.csv').write_text('\n'.join(labels))
    out = subprocess.run([
        sys.executable, sound_table.__file__,
        str(tmp_path / 'runs'), '--labels',
        str(tmp_path / 'test.csv')
    ],
                         check=True,
                         capture_output=True,
                         text=True).stdout
    assert ('| CAST (space and time) | 2 | 100.0 ± 0.0 | 100.0 ± 0.0 | '
            '50.0 ± 0.0 | 50.0 ± 0.0 | 50.0 ± 0.0 |') in out
