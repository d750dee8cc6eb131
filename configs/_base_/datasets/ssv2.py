# Something-Something V2. Source: CAST (arXiv 2311.18825), training details of
# the appendix, and the authors' SSv2 script where the two differ (RandAugment
# m7-n4; the paper's colour jitter and repeated augmentation are in neither
# script nor here).
# Frames: 16 spread over the whole video; test 2 clips x 3 crops of 224,
# softmax averaged. No flip: labels tell left from right.
train_pipeline = [
    dict(type='VideoInit'),
    dict(type='ClipSampleFrames', mode='uniform', clip_len=16),
    dict(type='VideoDecode'),
    dict(type='ClipRandAugment', policy='rand-m7-n4-mstd0.5-inc1', lazy=True),
    dict(type='RandomResizedCrop', lazy=True),
    dict(type='Resize', scale=(224, 224), keep_ratio=False, lazy=True),
    dict(type='FuseClip'),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
val_pipeline = [
    dict(type='VideoInit'),
    dict(
        type='ClipSampleFrames',
        mode='uniform',
        clip_len=16,
        num_clips=1,
        test_mode=True),
    dict(type='VideoDecode'),
    dict(type='ShortSideResize', size=224),
    dict(type='CenterCrop', crop_size=224),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
test_pipeline = [
    dict(type='VideoInit'),
    dict(
        type='ClipSampleFrames',
        mode='uniform',
        clip_len=16,
        num_clips=2,
        test_mode=True),
    dict(type='VideoDecode'),
    dict(type='ShortSideResize', size=224),
    dict(type='ThreeViewCrop', crop_size=224),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]

train_dataloader = dict(
    batch_size=6,
    num_workers='auto',  # by cores and processes here
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='EpochSampler', shuffle=True),
    dataset=dict(
        type='VideoListDataset',
        ann_file='data/sthv2/sthv2_train_list_videos.txt',
        data_prefix=dict(video='data/sthv2/videos'),
        num_classes=174,
        classes='sthv2',
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=6,
    num_workers='auto',
    persistent_workers=False,  # gone while training
    pin_memory=True,
    sampler=dict(type='EpochSampler', shuffle=False),
    dataset=dict(
        type='VideoListDataset',
        ann_file='data/sthv2/sthv2_val_list_videos.txt',
        data_prefix=dict(video='data/sthv2/videos'),
        num_classes=174,
        classes='sthv2',
        pipeline=val_pipeline,
        test_mode=True))
test_dataloader = dict(
    batch_size=1,
    num_workers='auto',
    persistent_workers=False,
    pin_memory=True,
    sampler=dict(type='EpochSampler', shuffle=False),
    dataset=dict(
        type='VideoListDataset',
        ann_file='data/sthv2/sthv2_val_list_videos.txt',
        data_prefix=dict(video='data/sthv2/videos'),
        num_classes=174,
        classes='sthv2',
        pipeline=test_pipeline,
        test_mode=True))

val_evaluator = dict(type='ClipAccuracy')
test_evaluator = val_evaluator
