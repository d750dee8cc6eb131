# MMAction2's TSM on EPIC-KITCHENS-100, with the clips, augmentation, head and
# metric of CAST.
# Source: the host's TSM R50 for SSv2 (its optimizer, 50 epochs, a tenth of the
#   rate after 25 and 45), CAST's EK100 sampling.
# Expected: unknown (no one has published this, and it is not measured here).
# Views: test 2 clips (16 frames, spread) x 3 crops of 224.
# Weights: torchvision's ResNet-50 of ImageNet-1k.
_base_ = ['../_base_/datasets/ek100.py', '../_base_/default_runtime.py']

model = dict(
    type='Recognizer2D',
    backbone=dict(
        type='ResNetTSM',
        depth=50,
        num_segments=16,
        shift_div=8,
        norm_eval=False,
        pretrained='torchvision://resnet50'),
    cls_head=dict(
        type='VerbNounHead',
        in_channels=2048,
        dropout_ratio=0.5,
        average_clips='prob'),
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        format_shape='NCHW'))

# Frames one by one, as 2D recognizers take them.
frames = dict(type='FormatShape', input_format='NCHW')
train_pipeline = _base_.train_pipeline
train_pipeline[-2] = frames
val_pipeline = _base_.val_pipeline
val_pipeline[-2] = frames
test_pipeline = _base_.test_pipeline
test_pipeline[-2] = frames
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

# 8 GPUs x 16 clips = 128 clips an optimizer step.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=5e-4),
    clip_grad=dict(max_norm=20, norm_type=2))
auto_scale_lr = dict(
    enable=True, base_batch_size=128, count_accumulation=True)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=5, by_epoch=True),
    dict(type='MultiStepLR', milestones=[25, 45], gamma=0.1, by_epoch=True)
]
train_cfg = dict(type='ResumableEpochLoop', max_epochs=50, val_interval=5)
val_cfg = dict(type='PrecisionValLoop')
test_cfg = dict(type='PrecisionTestLoop')
