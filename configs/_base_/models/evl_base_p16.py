# EVL-B/16 (arXiv 2208.03550): four decoder layers over frozen CLIP, without
# cross-frame attention, as the published sizes have it. 28.7 M trained of
# 114.5 M parameters, 148.0 G multiply-adds a view of 8 frames.
model = dict(
    type='Recognizer3D',
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[122.771, 116.746, 104.094],
        std=[68.501, 66.632, 70.323],
        format_shape='NCTHW'),
    backbone=dict(
        type='EVL',
        arch='base',
        num_frames=8,
        num_decoder_layers=4,
        pretrained='openai'),
    cls_head=dict(
        type='LinearHead',
        in_channels=768,
        num_classes=400,
        dropout_ratio=0.5,
        average_clips='prob'))
