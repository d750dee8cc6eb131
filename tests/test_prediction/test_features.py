import json

import pytest
import torch

from cast_mmaction.prediction.features import (features_of, load_features,
                                               record_tokens)
from tests.test_prediction.test_predict import recognizer, write_video
from tests.toy import load_tool

main = load_tool('extract_features').main


@pytest.fixture
def extract(tmp_path):
    """The command line; gives its exit code."""
    model = recognizer(True)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'model.pth')
    model.cfg.dump(str(tmp_path / 'config.py'))
    for number in range(3):
        write_video(tmp_path / f'v/{number}.mp4', 1 + number)
    (tmp_path / 'v/bad.mp4').write_bytes(b'no video')

    def call(*args):
        try:
            main([str(tmp_path / 'v'), '--config', str(tmp_path / 'config.py'),
                  '--checkpoint', str(tmp_path / 'model.pth'), '--device',
                  'cpu', '--out', str(tmp_path / 'out'), *map(str, args)])
        except SystemExit as stop:
            return stop.code

    return call


@pytest.mark.parametrize('args, shape', [
    ([], (16, )),
    (['--level', 'step', '--single-view'], (2, 16)),
    (['--level', 'token', '--moment', 'before', '--half'], (2, 4, 16)),
])
def test_levels(extract, tmp_path, args, shape):
    assert extract(*args, '--shard-size', 2) is None
    found = dict(load_features(tmp_path / 'out'))
    assert sorted(found) == [str(tmp_path / f'v/{n}.mp4') for n in range(3)]
    for features in found.values():
        assert set(features) == {'spatial', 'temporal'}
        for x in features.values():
            assert tuple(x.shape) == shape
            assert x.dtype == (
                torch.float16 if '--half' in args else torch.float32)
    index = json.loads((tmp_path / 'out/index.json').read_text())
    assert len(index['shards']) == 2
    assert list(index['unreadable']) == [str(tmp_path / 'v/bad.mp4')]


def test_a_stopped_run_goes_on(extract, tmp_path, monkeypatch, capsys):
    reads = []

    def stopping(model, batch, *args):
        reads.append(batch)
        if len(reads) == 3:
            raise KeyboardInterrupt
        return features_of(model, batch, *args)

    monkeypatch.setattr('cast_mmaction.prediction.features.features_of',
                        stopping)
    with pytest.raises(KeyboardInterrupt):
        extract('--shard-size', 1)
    extract('--shard-size', 1)
    assert len(reads) == 4 and '2 done before' in capsys.readouterr().out
    assert len(dict(load_features(tmp_path / 'out'))) == 3


def test_other_settings_are_refused(extract, tmp_path):
    extract()
    assert 'choose another --out' in extract('--level', 'step')
    assert 'there is no layer 7' in extract('--level', 'step', '--layer', 7,
                                            '--out', tmp_path / 'other')
    assert not (tmp_path / 'other').exists()


def test_before_and_after_differ_by_the_exchange():
    model = recognizer()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=.2)
    clip = torch.randn(1, 3, 4, 32, 32)
    with torch.no_grad():
        with record_tokens(model.backbone, 0, 'before') as before:
            model.backbone(clip)
        with record_tokens(model.backbone, 0, 'after') as after:
            model.backbone(clip)
        exchange = model.backbone.layers[0].exchange
        to_s, to_t = exchange.residuals(before['spatial'], before['temporal'])
    torch.testing.assert_close(after['spatial'], before['spatial'] + to_s)
    torch.testing.assert_close(after['temporal'], before['temporal'] + to_t)
    assert '_talk' not in vars(model.backbone.layers[0])
