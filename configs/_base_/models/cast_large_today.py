# CAST with experts of 2025: DINOv3 ViT-L/16 for space, V-JEPA 2 ViT-L/16 for
# time, both 24 blocks of width 1024; B-CAST at half width in every block.
# Frames of 224 pixels as CAST's, 14 x 14 patches for both; V-JEPA 2 was
# trained with 256, its rotary positions take any size.
model = dict(
    type='Recognizer3D',
    # ImageNet's figures are those of both experts.
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        format_shape='NCTHW'),
    backbone=dict(
        type='CAST',
        spatial=dict(
            type='TimmExpert',
            model_name='vit_large_patch16_dinov3.lvd1689m',
            num_frames=16,
            pretrained=True),
        temporal=dict(
            type='VJEPA2Expert',
            arch='large',
            img_size=224,
            num_frames=16,
            pretrained='hf://facebook/vjepa2-vitl-fpc64-256'),
        exchange=dict(
            type='BCAST',
            ratio=0.5,
            t2s_window='time',
            s2t_window='space',
            positions=True),
        adapter_ratio=0.25,
        ffn_adapter_scale=0.5,
        drop_path_rate=0.2),
    cls_head=dict(
        type='CASTHead',
        in_channels=1024,
        num_classes=400,
        label_smooth_eps=0.1,
        average_clips='prob'))
