"""The config of a training on one's own videos, as a file to read and edit.

What one is likely to change (classes, size, weights, epochs) is stated once,
at the top of that file; everything below follows from it.
"""
from pathlib import Path
from string import Template
from typing import Dict, Mapping, Sequence

# By --size. 'base' is the published CAST-B/16 with frozen experts; 'small'
# has 1/40 of its cost and learns everything from the videos themselves, for
# a trial on a CPU.
SIZES: Dict[str, Mapping[str, object]] = {
    'base': dict(
        arch="'base'",
        img_size=224,
        num_frames=16,
        frame_interval=4,
        spatial_weights="'openai'",
        temporal_weights="'checkpoints/videomae-base_k400.pth'",
        freeze_experts=True,
        max_epochs=50,
        warmup=5,
        batch_size=6,
        num_workers="'auto'",
        lr=1e-3,
        base_batch_size=256,
        layer_decay_rate=0.75,
        mixup_share=0.5,
        rand_augment='rand-m7-n4-mstd0.5-inc1',
        test_clips=5),
    'small': dict(
        arch='dict(embed_dims=96, num_layers=3, num_heads=3)',
        img_size=112,
        num_frames=16,
        frame_interval=4,
        spatial_weights='None',
        temporal_weights='None',
        freeze_experts=False,
        max_epochs=20,
        warmup=2,
        batch_size=8,
        num_workers="'auto'",
        lr=1e-3,
        base_batch_size=8,
        layer_decay_rate=1.0,
        mixup_share=0.,
        rand_augment='rand-m3-n2-mstd0.5-inc1',
        test_clips=2),
}

HEADER = Template('''\
# $title: $num_videos videos, written by tools/data/prepare.py. Yours to
# change; `tools/dist_train.sh $path 1` trains.
_base_ = '$runtime'

# What is stated here holds everywhere below.
$classes
img_size = $img_size  # pixels
num_frames = $num_frames
frame_interval = $frame_interval  # a clip spans num_frames x frame_interval
arch = $arch
# Files, open_clip tags, or None: random. Frozen experts need weights.
spatial_weights = $spatial_weights
temporal_weights = $temporal_weights
freeze_experts = $freeze_experts
max_epochs = $max_epochs
batch_size = $batch_size  # clips a process
num_workers = $num_workers  # 'auto': by cores and processes, or a number
# Of base_batch_size clips an optimizer step; the actual rate follows.
lr, base_batch_size = $lr, $base_batch_size
mixup_share = $mixup_share  # of the batches
embed_dims = (arch['embed_dims'] if isinstance(arch, dict) else
              dict(base=768, large=1024)[arch])
''')

ONE_LABEL = Template('''
head = dict(
    type='CASTHead',
    in_channels=embed_dims,
    num_classes=num_classes,
    label_smooth_eps=0.1,
    average_clips='prob')
blending = dict(
    type='RandomBatchAugment',
    augments=dict(type='MixupBlending', alpha=0.8, num_classes=num_classes),
    probs=mixup_share)
dataset = dict(
    type='VideoListDataset',
    data_prefix=dict(video=videos),
    classes=classes,
    num_classes=num_classes)
lists = dict(train='$out/train.txt', val='$out/val.txt')
pack = dict(type='PackActionInputs')
evaluator = dict(type='ClipAccuracy')
''')

TWO_LABELS = Template('''
head = dict(
    type='VerbNounHead',
    in_channels=embed_dims,
    num_verbs=num_verbs,
    num_nouns=num_nouns,
    label_smooth_eps=0.1,
    average_clips='prob')
blending = dict(
    type='VerbNounBlending',
    augment=dict(
        type='RandomBatchAugment',
        augments=dict(type='MixupBlending', alpha=0.8),
        probs=mixup_share),
    num_verbs=num_verbs,
    num_nouns=num_nouns)
dataset = dict(
    type='EpicKitchensDataset',
    data_prefix=dict(clips=videos),
    path_template='{narration_id}',
    class_files=dict(verb_classes=verb_classes, noun_classes=noun_classes),
    num_verbs=num_verbs,
    num_nouns=num_nouns)
lists = dict(train='$out/train.csv', val='$out/val.csv')
pack = dict(type='PackVerbNounInputs')
evaluator = dict(type='VerbNounMetric')
''')

BODY = Template('''
expert = dict(arch=arch, img_size=img_size, num_frames=num_frames)
model = dict(
    type='Recognizer3D',
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        format_shape='NCTHW',
        blending=blending),
    backbone=dict(
        type='CAST',
        spatial=dict(type='CLIPExpert', pretrained=spatial_weights, **expert),
        temporal=dict(
            type='VideoMAEExpert', pretrained=temporal_weights, **expert),
        exchange=dict(type='BCAST'),
        freeze_experts=freeze_experts,
        drop_path_rate=0.2),
    cls_head=head)

frames = dict(
    type='ClipSampleFrames',
    mode='dense',
    clip_len=num_frames,
    frame_interval=frame_interval)
train_pipeline = [
    dict(type='VideoInit'),
    frames,
    dict(type='VideoDecode'),
    dict(type='ClipRandAugment', policy='$rand_augment', lazy=True),
    dict(type='RandomResizedCrop', lazy=True),
    dict(
        type='Resize',
        scale=(img_size, img_size),
        keep_ratio=False,
        lazy=True),
    dict(type='Flip', flip_ratio=0.5, lazy=True),
    dict(type='FuseClip'),
    dict(type='FormatShape', input_format='NCTHW'),
    pack,
]
val_pipeline = [
    dict(type='VideoInit'),
    dict(frames, num_clips=1, test_mode=True),
    dict(type='VideoDecode'),
    dict(type='ShortSideResize', size=img_size),
    dict(type='CenterCrop', crop_size=img_size),
    dict(type='FormatShape', input_format='NCTHW'),
    pack,
]
test_pipeline = [
    dict(type='VideoInit'),
    dict(frames, num_clips=$test_clips, test_mode=True),
    dict(type='VideoDecode'),
    dict(type='ShortSideResize', size=img_size),
    dict(type='ThreeViewCrop', crop_size=img_size),
    dict(type='FormatShape', input_format='NCTHW'),
    pack,
]

loader = dict(
    num_workers=num_workers,
    pin_memory=True)
train_dataloader = dict(
    batch_size=batch_size,
    sampler=dict(type='EpochSampler', shuffle=True),
    dataset=dict(
        ann_file=lists['train'], pipeline=train_pipeline, **dataset),
    persistent_workers=num_workers != 0,
    **loader)
val_dataloader = dict(
    batch_size=batch_size,
    sampler=dict(type='EpochSampler', shuffle=False),
    dataset=dict(
        ann_file=lists['val'],
        pipeline=val_pipeline,
        test_mode=True,
        **dataset),
    **loader)
test_dataloader = dict(
    batch_size=1,
    sampler=dict(type='EpochSampler', shuffle=False),
    dataset=dict(
        ann_file=lists['val'],
        pipeline=test_pipeline,
        test_mode=True,
        **dataset),
    **loader)
val_evaluator = evaluator
test_evaluator = evaluator

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=$layer_decay_rate),
    optimizer=dict(
        type='AdamW', lr=lr, betas=(0.9, 0.999), weight_decay=0.05),
    clip_grad=dict(max_norm=1.0))
auto_scale_lr = dict(
    enable=True, base_batch_size=base_batch_size, count_accumulation=True)
param_scheduler = [
    dict(
        type='WarmupCosineLR',
        warmup=$warmup,
        eta_min_ratio=1e-3,
        convert_to_iter_based=True)
]
train_cfg = dict(
    type='ResumableEpochLoop',
    max_epochs=max_epochs,
    val_interval=max(max_epochs // 10, 1))
val_cfg = dict(type='PrecisionValLoop')
test_cfg = dict(type='PrecisionTestLoop')
work_dir = 'work_dirs/$name'
''')


def config_text(path: Path, videos: Path, classes: Mapping[str,
                                                           Sequence[str]],
                num_videos: int, size: str, runtime: Path) -> str:
    """The text of a config beside the lists of ``own_data.write_lists``.

    Args:
        path: Where the config will be, in the folder of the lists.
        videos: The folder of the videos.
        classes: The names of the classes by task.
        num_videos: How many videos there are, for the header.
        size: One of ``SIZES``.
        runtime: The file ``default_runtime.py`` of the shipped configs.
    """
    out = path.parent
    stated = [f'videos = {str(videos)!r}']
    if len(classes) == 1:
        names, = classes.values()
        stated += [
            f"classes = '{out / 'classes.txt'}'",
            f'num_classes = {len(names)}',
        ]
    else:
        for task, names in classes.items():
            stated += [
                f"{task}_classes = '{out / f'{task}_classes.csv'}'",
                f'num_{task}s = {len(names)}',
            ]
    values = dict(
        SIZES[size],
        title=' and '.join(f'{len(names)} {task}s'
                           for task, names in classes.items()),
        num_videos=num_videos,
        path=path,
        out=out,
        name=out.resolve().name,
        runtime=runtime,
        classes='\n'.join(stated))
    task = ONE_LABEL if len(classes) == 1 else TWO_LABELS
    return ''.join(
        part.substitute(values) for part in (HEADER, task, BODY))
