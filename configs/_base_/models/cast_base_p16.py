# CAST-B/16 (arXiv 2311.18825, section 3 and appendix): CLIP ViT-B/16 for
# space, VideoMAE ViT-B/16 for time, B-CAST at half width in every block.
# 45.4 M trained of 217 M parameters, 390.5 G multiply-adds a view.
model = dict(
    type='Recognizer3D',
    # The authors' code normalises both experts' input with ImageNet's figures.
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        format_shape='NCTHW'),
    backbone=dict(
        type='CAST',
        spatial=dict(
            type='CLIPExpert', arch='base', num_frames=16,
            pretrained='openai'),
        temporal=dict(
            type='VideoMAEExpert',
            arch='base',
            num_frames=16,
            pretrained='checkpoints/videomae.pth'),
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
        in_channels=768,
        num_classes=400,
        label_smooth_eps=0.1,
        average_clips='prob'))
