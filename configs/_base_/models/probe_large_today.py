# The attentive probe of V-JEPA 2 (arXiv 2506.09985) on a frozen expert of
# cast_large_today.py: three self-attention layers and a query over all its
# tokens.
model = dict(
    type='Recognizer3D',
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        format_shape='NCTHW'),
    backbone=dict(
        type='ExpertTokens',
        expert=dict(
            type='VJEPA2Expert',
            arch='large',
            img_size=224,
            num_frames=16,
            pretrained='hf://facebook/vjepa2-vitl-fpc64-256')),
    neck=dict(
        type='AttentivePool', in_channels=1024, num_heads=16, num_layers=3),
    cls_head=dict(
        type='LinearHead',
        in_channels=1024,
        num_classes=400,
        label_smooth_eps=0.1,
        average_clips='prob'))
