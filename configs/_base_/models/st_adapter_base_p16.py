# ST-Adapter-B/16 (arXiv 2206.13559): one adapter before the MLP of every block
# of frozen CLIP. 7.4 M trained of 93.2 M parameters, 151.6 G multiply-adds a
# view of 8 frames.
model = dict(
    type='Recognizer3D',
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[122.771, 116.746, 104.094],
        std=[68.501, 66.632, 70.323],
        format_shape='NCTHW'),
    backbone=dict(
        type='STAdapter',
        arch='base',
        num_frames=8,
        adapter_dims=384,
        places=['ffn'],
        pretrained='openai'),
    cls_head=dict(
        type='LinearHead',
        in_channels=768,
        num_classes=400,
        dropout_ratio=0.5,
        average_clips='prob'))
