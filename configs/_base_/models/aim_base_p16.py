# AIM-B/16 (arXiv 2302.03024): adapters in time, space and beside the MLP of
# frozen CLIP. 11.0 M trained of 96.8 M parameters, 202.1 G multiply-adds a
# view of 8 frames.
model = dict(
    type='Recognizer3D',
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[122.771, 116.746, 104.094],
        std=[68.501, 66.632, 70.323],
        format_shape='NCTHW'),
    backbone=dict(
        type='AIM',
        arch='base',
        num_frames=8,
        drop_path_rate=0.2,
        pretrained='openai'),
    cls_head=dict(
        type='LinearHead',
        in_channels=768,
        num_classes=400,
        dropout_ratio=0.5,
        init_std=0.01,
        average_clips='prob'))
