# EVL-B/16 (arXiv 2208.03550): four decoder layers over frozen CLIP, with
# cross-frame attention, as the authors' scripts and released weights have it:
# 33.2 M trained of 119.0 M parameters, 155.8 G multiply-adds a view of 8
# frames. Without (cross_frame=False) 28.7 M of 114.5 M, 148.0 G. Of the
# published sizes 119 M in all fits "with", 29 M trained and 444 G for 3 views
# fit "without".
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
        cross_frame=True,
        pretrained='openai'),
    cls_head=dict(
        type='LinearHead',
        in_channels=768,
        num_classes=400,
        dropout_ratio=0.5,
        init_std=None,  # PyTorch's own, as the authors have it
        average_clips='prob'))
