# VideoMAE ViT-B/16 alone, with CAST's adapters (arXiv 2311.18825, rows (a)).
# 7.4 M trained of 93.6 M parameters, 191.4 G multiply-adds a view.
model = dict(
    type='Recognizer3D',
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        format_shape='NCTHW'),
    backbone=dict(
        type='AdaptedExpert',
        expert=dict(
            type='VideoMAEExpert',
            arch='base',
            num_frames=16,
            pretrained='checkpoints/videomae.pth'),
        adapter_ratio=0.25,
        ffn_adapter_scale=0.5,
        drop_path_rate=0.2),
    cls_head=dict(
        type='LinearHead',
        in_channels=768,
        num_classes=400,
        label_smooth_eps=0.1,
        average_clips='prob'))
