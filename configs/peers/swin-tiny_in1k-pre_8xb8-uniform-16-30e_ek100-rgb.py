# MMAction2's Video Swin on EPIC-KITCHENS-100, with the clips, augmentation,
# head and metric of CAST.
# Source: the host's Swin-T for Kinetics-400 (AdamW, the backbone at a tenth of
#   the rate, 2.5 epochs of warm-up, then a cosine, 30 epochs), CAST's EK100
#   sampling.
# Expected: unknown (no one has published this, and it is not measured here).
# Views: test 2 clips (16 frames, spread) x 3 crops of 224.
# Weights: Swin-T of ImageNet-1k as MMAction2 offers it, at the path below.
_base_ = ['../_base_/datasets/ek100.py', '../_base_/default_runtime.py']

model = dict(
    type='Recognizer3D',
    backbone=dict(
        type='SwinTransformer3D',
        arch='tiny',
        patch_size=(2, 4, 4),
        window_size=(8, 7, 7),
        drop_path_rate=0.1,
        pretrained='checkpoints/swin_tiny_patch4_window7_224.pth'),
    cls_head=dict(
        type='VerbNounHead',
        in_channels=768,
        dropout_ratio=0.5,
        average_clips='prob'),
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        format_shape='NCTHW'))

train_dataloader = dict(batch_size=8)

# 8 GPUs x 8 clips = 64 clips an optimizer step.
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(backbone_lr_mult=0.1),
    optimizer=dict(
        type='AdamW', lr=1e-3, betas=(0.9, 0.999), weight_decay=0.02))
auto_scale_lr = dict(enable=True, base_batch_size=64, count_accumulation=True)
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=0.1,
        end=2.5,
        by_epoch=True,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR', T_max=30, eta_min=0, by_epoch=True, end=30)
]
train_cfg = dict(type='ResumableEpochLoop', max_epochs=30, val_interval=5)
val_cfg = dict(type='PrecisionValLoop')
test_cfg = dict(type='PrecisionTestLoop')
