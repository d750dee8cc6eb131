"""The host's own configs, through tools/train.py and tools/test.py."""
import sys

import numpy as np
import pytest
import torch
from mmengine.config import Config

from tests.untrimmed import write_video
from tools import test as testing
from tools import train as training

TSN = ('mmaction::recognition/tsn/tsn_imagenet-pretrained-r50_8xb32-1x1x3-'
       '100e_kinetics400-rgb.py')


@pytest.fixture
def config(tmp_path):
    """TSN on two classes of made videos, in small."""
    random = np.random.RandomState(0)
    lines = []
    for i in range(2):
        frames = random.randint(0, 256, (8, 144, 192, 3), np.uint8)
        write_video(tmp_path / f'{i}.mp4', list(frames))
        lines.append(f'{i}.mp4 {i}\n')
    (tmp_path / 'list.txt').write_text(''.join(lines))
    loader = f'''dict(
    num_workers=0, persistent_workers=False,
    dataset=dict(ann_file='{tmp_path}/list.txt',
                 data_prefix=dict(video='{tmp_path}')))'''
    path = tmp_path / 'tsn.py'
    path.write_text(f'''
_base_ = '{TSN}'
model = dict(backbone=dict(depth=18, pretrained=None),
             cls_head=dict(in_channels=512, num_classes=2, topk=1))
train_dataloader = {loader}
val_dataloader = {loader}
test_dataloader = {loader}
test_dataloader['dataset'].update(pipeline={{{{_base_.val_pipeline}}}})
train_dataloader.update(batch_size=2)
train_cfg = dict(max_epochs=1)
work_dir = '{tmp_path}/work'
log_level = 'WARNING'
''')
    return path


def call(tool, monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', ['tool', *map(str, arguments)])
    cfg = tool.build_config(tool.parse_args())
    tool.run(cfg)
    return cfg


@pytest.mark.slow
def test_is_trained_resumed_and_tested(config, tmp_path, monkeypatch):
    call(training, monkeypatch, config, '--seed', 3)
    checkpoint = tmp_path / 'work/epoch_1.pth'
    assert torch.load(checkpoint, weights_only=True)['meta']['seed'] == 3
    call(training, monkeypatch, config, '--resume', '--cfg-options',
         'train_cfg.max_epochs=2', 'test_dataloader.batch_size=2')
    assert (tmp_path / 'work/epoch_2.pth').is_file()
    call(testing, monkeypatch, config, checkpoint)


def test_a_config_without_randomness(config, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['tool', str(config)])
    assert 'randomness' not in Config.fromfile(config)
    cfg = training.build_config(training.parse_args())
    assert cfg.randomness == dict(seed=None)


@pytest.mark.parametrize('tool', [training, testing])
def test_misspelt_options_stop_it(tool, config, monkeypatch):
    options = [config, 'x.pth'][:2 if tool is testing else 1]
    monkeypatch.setattr(sys, 'argv', [
        'tool', *map(str, options), '--cfg-options', 'test_dataloder.a=1'
    ])
    with pytest.raises(ValueError, match="'test_dataloader' meant"):
        tool.build_config(tool.parse_args())
