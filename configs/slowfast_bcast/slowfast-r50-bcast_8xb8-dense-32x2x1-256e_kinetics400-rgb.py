# B-CAST as a neck: the pathways of MMAction2's SlowFast-R50 4x16 read each
#   other, the slow one along time, the fast one along space, before the head.
# Source: SlowFast's recipe in MMAction2 (slowfast_r50_8xb8-4x16x1-256e);
#   the exchange of CAST (arXiv 2311.18825), 256 wide, the fast one's width.
# Expected: nothing is published; the host's SlowFast reaches 75.55 top-1
#   with the same views at 256.
# Views: test 10 clips (32 frames, 2 apart) x 3 crops of 224: B-CAST's
#   positions are for the 7 x 7 locations of that size.
# Weights: none, from scratch.
_base_ = [
    '../_base_/datasets/kinetics400.py', '../_base_/default_runtime.py'
]

model = dict(
    type='Recognizer3D',
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        format_shape='NCTHW'),
    backbone=dict(
        type='ResNet3dSlowFast',
        pretrained=None,
        resample_rate=8,
        speed_ratio=8,
        channel_ratio=8,
        slow_pathway=dict(
            type='resnet3d',
            depth=50,
            pretrained=None,
            lateral=True,
            conv1_kernel=(1, 7, 7),
            dilations=(1, 1, 1, 1),
            conv1_stride_t=1,
            pool1_stride_t=1,
            inflate=(0, 0, 1, 1),
            norm_eval=False),
        fast_pathway=dict(
            type='resnet3d',
            depth=50,
            pretrained=None,
            lateral=False,
            base_channels=8,
            conv1_kernel=(5, 7, 7),
            conv1_stride_t=1,
            pool1_stride_t=1,
            norm_eval=False)),
    # Slow maps are (2048, 4, 7, 7), fast ones (256, 32, 7, 7).
    neck=dict(
        type='BCAST',
        ratio=0.125,
        spatial=dict(
            embed_dims=2048, num_heads=8, num_steps=4, grid=(7, 7)),
        temporal=dict(
            embed_dims=256, num_heads=8, num_steps=32, grid=(7, 7))),
    cls_head=dict(
        type='SlowFastHead',
        in_channels=2304,
        num_classes=400,
        dropout_ratio=0.5,
        average_clips='prob'))

frames = dict(clip_len=32, frame_interval=2)
train_pipeline = _base_.train_pipeline
val_pipeline = _base_.val_pipeline
test_pipeline = _base_.test_pipeline
train_pipeline[1].update(frames)
val_pipeline[1].update(frames)
test_pipeline[1].update(frames, num_clips=10)
del train_pipeline[3]  # SlowFast trains without RandAugment
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=8, dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

# The learning rate is for 8 GPUs x 8 clips = 64 clips an optimizer step.
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='LayerDecayOptimWrapperConstructor',
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4),
    clip_grad=dict(max_norm=40))
auto_scale_lr = dict(enable=True, base_batch_size=64)
# As the host's SlowFast: from a tenth of the rate, down to zero.
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=0.1,
        end=34,
        by_epoch=True,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR', T_max=256, eta_min=0, end=256, by_epoch=True)
]
train_cfg = dict(type='ResumableEpochLoop', max_epochs=256, val_interval=5)
val_cfg = dict(type='PrecisionValLoop')
test_cfg = dict(type='PrecisionTestLoop')
