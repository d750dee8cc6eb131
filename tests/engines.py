"""Trainings of a tiny CAST by several processes, each a fork of this one.

    python -m tests.engines FOLDER SPEC ...

A SPEC is ENGINE;PROCESSES;NAME[;key=value ...]. ENGINE is a file of
configs/_base_/engine, or 'ddp', or 'flexible' for the other runner of
MMEngine; NAME the work dir in FOLDER; the values are those of --cfg-options,
in JSON. Without a semicolon SPEC is a function of this file.

This process must not train itself: torch refuses to compute gradients in the
fork of one that has.
"""
import copy
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Callable

import torch
import torch.distributed as dist
from mmaction.registry import DATASETS, MODELS
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import FlexibleRunner, Runner

import cast_mmaction  # noqa: F401
from cast_mmaction.engine import FullyShardedModel, leave_process_group
from cast_mmaction.engine.sharding import local
from cast_mmaction.same_weights import send_what_differs
from tests.forks import fork
from tests.toy import ROOT, toy_config

CLIPS = 32
ENGINES = ROOT / 'configs/_base_/engine'
ARCH = dict(
    arch=dict(embed_dims=16, num_layers=2, num_heads=2),
    img_size=32,
    num_frames=4)


@DATASETS.register_module()
class MadeClips(torch.utils.data.Dataset):
    """32 clips of noise, of two classes that differ in brightness."""
    metainfo = dict(name='made')

    def __len__(self) -> int:
        return CLIPS

    def __getitem__(self, index: int) -> dict:
        generator = torch.Generator().manual_seed(index)
        label = index % 2
        clip = torch.randint(0, 128, (1, 3, 4, 32, 32), generator=generator)
        return dict(
            inputs=(clip + 100 * label).to(torch.uint8),
            data_samples=ActionDataSample().set_gt_label(label))


def pretrained(folder: Path) -> dict:
    """Files with the weights of two experts, made if need be."""
    paths = {}
    for number, kind in enumerate(('CLIPExpert', 'VideoMAEExpert')):
        paths[kind] = folder / f'{kind}.pth'
        if not paths[kind].is_file():
            torch.manual_seed(number)
            torch.save(
                MODELS.build(dict(ARCH, type=kind)).state_dict(), paths[kind])
    return paths


def config(folder: Path, name: str, processes: int, **changes) -> Config:
    """Of a training with 8 clips an optimizer step."""
    files = pretrained(folder)
    cfg = toy_config(folder / name, batch=8 // processes or 1, epochs=2)
    cfg.model = dict(
        type='Recognizer3D',
        data_preprocessor=dict(
            type='ActionDataPreprocessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            format_shape='NCTHW'),
        backbone=dict(
            type='CAST',
            **{
                role: dict(ARCH, type=kind, pretrained=str(files[kind]))
                for role, kind in dict(
                    spatial='CLIPExpert', temporal='VideoMAEExpert').items()
            }),
        cls_head=dict(
            type='CASTHead',
            in_channels=16,
            num_classes=2,
            average_clips='prob'))
    loader = dict(
        dataset=dict(type='MadeClips'),
        collate_fn=dict(type='pseudo_collate'))
    cfg.merge_from_dict(
        dict(
            train_dataloader=loader,
            val_dataloader=loader,
            val_evaluator=dict(type='AccMetric', _delete_=True),
            test_dataloader=loader,
            test_evaluator=dict(type='AccMetric', _delete_=True),
            optim_wrapper=dict(
                clip_grad=dict(max_norm=1.), optimizer=dict(lr=3e-3)),
            auto_scale_lr=dict(base_batch_size=8),
            default_hooks=dict(
                checkpoint=dict(save_best=None, max_keep_ckpts=-1)),
            **changes))
    return cfg


def put_over(cfg: Config, engine: str) -> Config:
    """A config with an engine, as ``tools/train.py --engine`` does it."""
    if engine == 'flexible':
        cfg.runner_type = 'FlexibleRunner'
        cfg.strategy = dict(type='DDPStrategy')
    elif engine != 'ddp':
        cfg.merge_from_dict(
            Config.fromfile(ENGINES / f'{engine}.py').to_dict())
    return cfg


def in_processes(count: int, work: Callable[[int], None],
                 folder: Path) -> None:
    """Run a function in forks that are a gloo group; one alone is none.

    Raises:
        RuntimeError: If one of them fails; what it says is printed.
    """
    meeting = folder / 'meeting'
    meeting.unlink(missing_ok=True)

    def member(rank: int) -> None:
        torch.set_num_threads(1)
        os.environ.update(LOCAL_RANK=str(rank), RANK=str(rank))
        if count > 1:
            dist.init_process_group(
                'gloo',
                init_method=f'file://{meeting}',
                rank=rank,
                world_size=count)
        work(rank)
        leave_process_group()

    pids = [fork(partial(member, rank)) for rank in range(count)]
    failed = 0
    for _ in pids:
        pid, status = os.wait()
        if status and not failed:
            failed = pid
            for other in set(pids) - {pid}:  # they wait for the one
                os.kill(other, 9)
    if failed:
        raise RuntimeError(f'{failed}, of {count} processes, failed')


def train(folder: Path, spec: str) -> None:
    """A training as the command line tells it."""
    engine, count, name, *changes = spec.split(';')
    changes = {
        key: json.loads(value)
        for key, value in (x.split('=', 1) for x in changes)
    }

    def work(rank: int) -> None:
        cfg = put_over(config(folder, name, int(count), **changes), engine)
        cfg.launcher = 'pytorch' if int(count) > 1 else 'none'
        kind = FlexibleRunner if engine == 'flexible' else Runner
        kind.from_cfg(cfg).train()

    in_processes(int(count), work, folder)


def starts(folder: Path) -> None:
    """What travels before the first step of a training."""
    cfg = config(folder, 'starts', 2)
    cfg.launcher = 'pytorch'

    def work(rank: int) -> None:
        sent = []
        broadcast = dist.broadcast

        def count(tensor, *args, **kwargs):
            sent.append(tensor.numel() * tensor.element_size())
            return broadcast(tensor, *args, **kwargs)

        dist.broadcast = count
        runner = Runner.from_cfg(cfg)
        runner._init_model_weights()
        model = runner.model.module
        assert sum(sent) < 100, sent  # seed and time; no weights

        with torch.no_grad():
            model.cls_head.fc_cls.bias += rank
            model.backbone.spatial.blocks[0].norm1.weight[3] += 1e-3 * rank
        assert send_what_differs(model) == [
            'backbone.spatial.blocks.0.norm1.weight', 'cls_head.fc_cls.bias'
        ]
        assert send_what_differs(model) == []
        assert model.cls_head.fc_cls.bias.abs().sum() == 0

        if rank:
            model.cls_head.more = torch.nn.Linear(1, 1)
        try:
            send_what_differs(model)
        except RuntimeError as error:
            assert 'different models' in str(error)
        else:
            raise AssertionError('models that differ were not noticed')

    in_processes(2, work, folder)


def backbones(folder: Path) -> None:
    """Gradients of every kind of backbone under FSDP."""
    clip = dict(num_frames=4, img_size=32, arch=ARCH['arch'])
    pair = dict(
        spatial=dict(ARCH, type='CLIPExpert'),
        temporal=dict(ARCH, type='VideoMAEExpert'))
    kinds = dict(
        cast=dict(type='CAST', **pair),
        half=dict(type='CAST', frozen_dtype='bfloat16', **pair),
        recomputed=dict(type='CAST', with_cp=True, **pair),
        lent=dict(
            type='CAST',
            experts=pair,
            exchanges=[dict(type='BCAST', between=('spatial', 'temporal'))],
            share_projections=True),
        adapted=dict(
            type='CAST',
            spatial=pair['spatial'],
            temporal=dict(type='AdaptedExpert', expert=pair['temporal'])),
        aim=dict(type='AIM', **clip),
        evl=dict(type='EVL', num_decoder_layers=2, dropout=0., **clip),
        st_adapter=dict(type='STAdapter', adapter_dims=8, **clip),
        timesformer=dict(type='SpaceTimeViT', scheme='divided', **clip))

    def gradients(model, clips, half) -> dict:
        with torch.autocast('cpu', torch.bfloat16, enabled=half):
            features = model(clips)
        if isinstance(features, dict):
            features = tuple(features.values())
        if isinstance(features, torch.Tensor):
            features = features,
        sum(x.float().square().mean() for x in features).backward()
        return {
            name: parameter.grad
            for name, parameter in model.named_parameters()
            if parameter.grad is not None
        }

    def work(rank: int) -> None:
        generator = torch.Generator().manual_seed(0)
        clips = torch.randn(2, 3, 4, 32, 32, generator=generator)
        for kind, cfg in kinds.items():
            torch.manual_seed(0)
            model = torch.nn.Module()
            model.backbone = MODELS.build(cfg)
            for parameter in model.parameters():
                torch.nn.init.normal_(parameter, std=.1)
            model.forward = lambda x, model=model: model.backbone(x)
            half = kind == 'half'
            expected = gradients(copy.deepcopy(model).backbone, clips, half)
            trained = [p for p in model.parameters() if p.requires_grad]
            optimizer = torch.optim.SGD(trained, lr=.1)
            sharded = FullyShardedModel(model)
            sharded.shard(optimizer)
            held = sum(local(p).numel() for p in model.parameters())
            assert held <= .6 * sum(p.numel() for p in model.parameters())
            assert set(optimizer.param_groups[0]['params']) == {
                p for p in model.parameters() if p.requires_grad}
            found = gradients(sharded, clips[rank:rank + 1], half)
            found = {
                name.removeprefix('module.backbone.'): value
                for name, value in found.items()
            }
            assert expected.keys() == found.keys(), kind
            for name, value in expected.items():
                torch.testing.assert_close(
                    found[name].full_tensor(),
                    value,
                    rtol=2e-2 if half else 1e-4,
                    atol=1e-3 if half else 1e-6,
                    msg=lambda text: f'{kind}, {name}: {text}')

    in_processes(2, work, folder)


if __name__ == '__main__':
    init_default_scope('mmaction')
    for spec in sys.argv[2:]:
        if ';' in spec:
            train(Path(sys.argv[1]), spec)
        else:
            globals()[spec](Path(sys.argv[1]))
        print('done', spec, flush=True)
