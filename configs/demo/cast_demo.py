# CAST at the size of two CPU cores, on the generated verb-noun set of
#   tools/demo/shapes.py. It shows that the exchange works and learns, and
#   nothing about real video.
# Data and experts: `bash tools/quickstart.sh` writes and trains them.
_base_ = '../_base_/default_runtime.py'

arch = dict(embed_dims=64, num_layers=4, num_heads=4)
size = dict(arch=arch, img_size=40, patch_size=8, num_frames=8)
spatial = dict(
    type='CLIPExpert',
    frame_stride=2,
    pretrained='work_dirs/demo/experts/spatial.pth',
    **size)
temporal = dict(
    type='VideoMAEExpert',
    tubelet_size=2,
    pretrained='work_dirs/demo/experts/temporal.pth',
    **size)

model = dict(
    type='Recognizer3D',
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        format_shape='NCTHW'),
    backbone=dict(
        type='CAST',
        spatial=spatial,
        temporal=temporal,
        exchange=dict(type='BCAST')),
    cls_head=dict(
        type='VerbNounHead',
        in_channels=64,
        num_verbs=8,
        num_nouns=8,
        average_clips='prob'))

pipeline = [
    dict(type='VideoInit'),
    dict(type='ClipSampleFrames', mode='uniform', clip_len=8, test_mode=True),
    dict(type='VideoDecode'),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackVerbNounInputs')
]
# The clips have this size already: for videos from elsewhere.
test_pipeline = [
    *pipeline[:3],
    dict(type='ShortSideResize', size=40),
    dict(type='CenterCrop', crop_size=40), *pipeline[3:]
]
dataset = dict(
    type='EpicKitchensDataset',
    data_root='data/demo',
    data_prefix=dict(clips='clips'),
    class_files=dict(
        verb_classes='verb_classes.csv', noun_classes='noun_classes.csv'),
    num_verbs=8,
    num_nouns=8)
# Decoding is a small part of the work: no processes beside the two.
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    sampler=dict(type='EpochSampler', shuffle=True),
    dataset=dict(ann_file='train.csv', pipeline=pipeline, **dataset))
test_dataloader = dict(
    batch_size=50,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        ann_file='test.csv',
        test_mode=True,
        pipeline=test_pipeline,
        **dataset))
test_evaluator = dict(type='VerbNounMetric')

# There is nothing to choose, so nothing is validated: the test set is looked
# at once, after the training.
train_cfg = dict(type='ResumableEpochLoop', max_epochs=2)
test_cfg = dict(type='PrecisionTestLoop')
optim_wrapper = dict(
    constructor='LayerDecayOptimWrapperConstructor',
    # Chosen on held-out clips, see docs/evidence.md.
    optimizer=dict(type='AdamW', lr=4e-3, weight_decay=0.05),
    clip_grad=dict(max_norm=1.0))
auto_scale_lr = dict(enable=True, base_batch_size=32)
param_scheduler = [dict(type='WarmupCosineLR', warmup=50, by_epoch=False)]
default_hooks = dict(
    logger=dict(interval=40), checkpoint=dict(save_best=None))
