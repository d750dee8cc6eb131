"""Every documented way of loading a file, and a process that tries them.

    python -m tests.faults.loaders FOLDER

writes a line of JSON for each loader and file: what became of it, how long it
took and how much memory. A process of its own, because memory is limited here
and a file may take the process down.
"""
import argparse
import contextlib
import io
import json
import os
import resource
import runpy
import shutil
import signal
import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Dict, List, Tuple

import torch

import cast_mmaction
from cast_mmaction.checkpoints import (CheckpointError, load_classifier,
                                       read_checkpoint, read_state_dict)
from cast_mmaction.engine import FinetuneHook
from cast_mmaction.engine.newest import check_whole
from cast_mmaction.evaluation.predictions import load_dump
from mmaction.apis import init_recognizer
from mmaction.apis.inferencers import (ActionRecogInferencer,
                                       MMAction2Inferencer)
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import FlexibleRunner, Runner
from tests.faults.hostile import family
from tests.test_checkpoints.layouts import SIZES
from tests.toy import ROOT, toy_config

MEMORY = 2**30  # bytes above what the process has when it starts
SECONDS = 10  # for one file
MARK = '# '  # before each line of JSON; others are of the host

MODEL = dict(
    type='Recognizer3D',
    backbone=dict(type='VideoMAEExpert', **SIZES),
    cls_head=dict(type='LinearHead', in_channels=32, num_classes=5),
    data_preprocessor=dict(
        type='ActionDataPreprocessor', format_shape='NCTHW'))
PIPELINE = [
    dict(type='DecordInit'),
    dict(type='SampleFrames', clip_len=4, num_clips=1, test_mode=True),
    dict(type='DecordDecode'),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs')
]
EXPERTS = dict(
    clip=dict(type='CLIPExpert', **SIZES),
    videomae=dict(type='VideoMAEExpert', **SIZES),
    vjepa2=dict(type='VJEPA2Expert', **SIZES),
    ast=dict(
        type='ASTExpert', arch=SIZES['arch'], num_mel_bins=32, num_frames=32),
    timm=dict(
        type='TimmExpert',
        model_name='vit_tiny_patch16_224',
        img_size=32,
        num_frames=4,
        model_kwargs=dict(depth=1, embed_dim=24, num_heads=2)))


class TooSlow(BaseException):
    """A file took longer than ``SECONDS``."""


def loaders(folder: Path) -> Dict[str, Tuple[Callable[[str], Any], dict]]:
    """By name, what loads a file, and a whole checkpoint for it."""
    init_default_scope('mmaction')
    model = MODELS.build(MODEL)
    weights = dict(state_dict=model.state_dict(), meta={})
    cfg = Config(dict(model=MODEL, test_pipeline=PIPELINE,
                      test_dataloader=dict(dataset=dict(
                          type='VideoDataset', pipeline=PIPELINE))))
    cfg.dump(str(folder / 'model.py'))
    Config(dict(model=dict(
        backbone=dict(spatial=EXPERTS['clip']),
        data_preprocessor=MODEL['data_preprocessor']))).dump(
            str(folder / 'demo.py'))
    (folder / 'narrations.csv').write_text(
        'narration_id,verb_class,noun_class\nP01_01_0,0,0\n')
    made = {
        'read_checkpoint': read_checkpoint,
        'read_state_dict': read_state_dict,
        'from_pretrained': cast_mmaction.from_pretrained,
        'finetune': lambda path: finetune(model, path),
        'classifier': lambda path: load_classifier(model.cls_head.fc_cls,
                                                   path),
        'init_recognizer': lambda path: init_recognizer(cfg, path, 'cpu'),
        'Inferencer': lambda path: MMAction2Inferencer(
            str(folder / 'model.py'), path, 'cpu'),
        'Inferencer alone': lambda path: ActionRecogInferencer(
            None, path, 'cpu'),
        'convert': lambda path: tool(
            'checkpoints/convert_checkpoint.py', path, folder / 'out.pth',
            '--source', 'videomae'),
        'publish': lambda path: tool('checkpoints/publish_model.py',
                                     folder / 'model.py', path,
                                     folder / 'published'),
        'load_dump': lambda path: dump(folder, path),
        'make_submission': lambda path: tool(
            'results/make_submission.py', path, folder / 'narrations.csv',
            folder / 'out.zip', '--sls-pt=0', '--sls-tl=0', '--sls-td=0'),
        'fuse_results': lambda path: tool('results/fuse_results.py', path,
                                          '--annotations', folder / 'no.csv'),
        'folder of transformers': lambda path: in_folder(
            folder / 'hf', path),
        'check_whole': lambda path: check_whole(Path(path)),
        'demo/pretrain': lambda path: pretraining(folder, path),
    }
    for name, expert in EXPERTS.items():
        made[f'pretrained of {name}'] = lambda path, expert=expert: (
            MODELS.build(dict(expert, pretrained=path)).init_weights())
    made = {name: (load, weights) for name, load in made.items()}
    made.update(runners(folder))
    return made


def runners(folder: Path) -> Dict[str, Tuple[Callable[[str], Any], dict]]:
    """Both runners, loading, resuming and with a state file beside."""
    made = {}
    for kind in (Runner, FlexibleRunner):
        changes = {} if kind is Runner else dict(
            strategy=dict(type='SingleDeviceStrategy'))
        cfg = toy_config(folder / kind.__name__, epochs=2, **{
            'default_hooks.checkpoint.trainable_only': False, **changes})
        runner = kind.from_cfg(cfg)
        runner.train()
        whole = torch.load(
            folder / kind.__name__ / 'epoch_1.pth', weights_only=True)
        made[f'{kind.__name__}, load_from'] = (
            lambda path, runner=runner: load_from(runner, path), whole)
        made[f'{kind.__name__}, resume'] = (
            lambda path, runner=runner: resume(runner, path), whole)
        if kind is Runner:
            alone = {k: v for k, v in whole.items() if k != 'optimizer'}
            torch.save(alone, folder / 'epoch_1.pth')
            made['state beside a checkpoint'] = (
                lambda path, runner=runner: beside(runner, folder, path),
                whole)
    return made


def finetune(model: torch.nn.Module, path: str) -> None:
    FinetuneHook(path).before_train(
        SimpleNamespace(iter=0, _resume=False, model=model,
                        logger=MMLogger.get_current_instance()))


def load_from(runner, path: str) -> None:
    runner._load_from, runner._resume = path, False
    runner.load_checkpoint(path)


def resume(runner, path: str) -> None:
    runner._load_from, runner._resume = path, True
    runner.resume(path)


def beside(runner, folder: Path, path: str) -> None:
    shutil.copyfile(path, folder / 'epoch_1.state.pth')
    resume(runner, str(folder / 'epoch_1.pth'))


def in_folder(folder: Path, path: str) -> None:
    """As weights of a model of transformers."""
    folder.mkdir(exist_ok=True)
    (folder / 'config.json').write_text(
        '{"model_type": "videomae", "hidden_size": 32, "num_hidden_layers": '
        '2, "num_attention_heads": 2, "intermediate_size": 128, "image_size":'
        ' 32, "patch_size": 16, "num_frames": 4, "tubelet_size": 2, '
        '"id2label": {"0": "a", "1": "b"}}')
    shutil.copyfile(path, folder / 'model.safetensors')
    cast_mmaction.from_pretrained(folder)


def dump(folder: Path, path: str) -> None:
    """As the host names its dumps: it chooses the reader by the name."""
    shutil.copyfile(path, folder / 'dump.pkl')
    try:
        load_dump(str(folder / 'dump.pkl'))
    except ValueError as error:
        if 'dump.pkl' in str(error):
            raise CheckpointError(str(error)) from error
        raise


def pretraining(folder: Path, path: str) -> None:
    """As the state of an interrupted pre-training of the demo."""
    shutil.copyfile(path, folder / 'spatial_state.pth')
    tool('demo/pretrain.py', 'spatial', folder / 'spatial.pth', '--config',
         folder / 'demo.py', '--steps', '0')


def tool(name: str, *args) -> None:
    """A tool as a user runs it; its own words for an error are kept."""
    path = str(ROOT / 'tools' / name)
    before, sys.argv = sys.argv, [path, *map(str, args)]
    sys.path.insert(0, str(Path(path).parent))
    try:
        runpy.run_path(path, run_name='__main__')
    except SystemExit as stop:
        if stop.code:
            raise CheckpointError(str(stop.code)) from None
    finally:
        sys.argv = before
        sys.path.pop(0)


def attempt(load: Callable[[str], Any], path: str, canary: Path) -> dict:
    """What becomes of one file."""

    def too_slow(*_) -> None:
        raise TooSlow

    signal.signal(signal.SIGALRM, too_slow)
    before, began = peak(), time.monotonic()
    signal.alarm(SECONDS)
    outcome, words = 'loaded', ''
    try:
        with contextlib.redirect_stdout(io.StringIO()), \
                contextlib.redirect_stderr(io.StringIO()):
            load(path)
    except (ValueError, FileNotFoundError) as error:
        words = str(error)
        named = isinstance(error, CheckpointError) or Path(path).name in words
        outcome = 'refused' if named else type(error).__name__
    except TooSlow:
        outcome = 'too slow'
    except BaseException as error:  # any other is a fault: it is reported
        outcome, words = type(error).__name__, str(error)
    finally:
        signal.alarm(0)
    if canary.exists():
        outcome = 'RAN'
        canary.rmdir()
    return dict(outcome=outcome, words=words[:300],
                seconds=round(time.monotonic() - began, 2),
                mib=(peak() - before) // 1024)


def peak() -> int:
    """The most memory that the process has had, KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def limit_memory() -> None:
    used = int(Path('/proc/self/statm').read_text().split()[0])
    used *= resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))


def main(folder: Path, only: List[str]) -> None:
    warnings.simplefilter('ignore')
    os.chdir(folder)  # where a relative name would appear
    canary = folder / 'ran'
    made = loaders(folder)
    limit_memory()
    (folder / 'files').mkdir()
    families: Dict[int, List[Tuple[str, bool]]] = {}
    for name, (load, whole) in made.items():
        if only and name not in only:
            continue
        if id(whole) not in families:
            place = folder / 'files' / str(len(families))
            place.mkdir()
            families[id(whole)] = []
            for file, content, data in family(whole, canary):
                (place / file).write_bytes(content)
                families[id(whole)].append((str(place / file), data))
        for path, data in families[id(whole)]:
            say(dict(loader=name, file=Path(path).name, data=data))
            say(attempt(load, path, canary))


def say(facts: dict) -> None:
    """A line that is there even if the process dies in the next moment."""
    print(MARK + json.dumps(facts), file=sys.__stdout__, flush=True)


if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('folder', type=Path)
    parser.add_argument('--only', nargs='*', default=[])
    args = parser.parse_args()
    main(args.folder.resolve(), args.only)
