# CA2ST-B/16 (arXiv 2503.23447): CLIP ViT-B/16 for space, VideoMAE ViT-B/16 for
# time, AST-B/16 for sound, and B-CAST at half width between each two of them.
# With positions in seconds 61.9 M trained of 320 M parameters, 459 G
# multiply-adds a view with 400 frames of sound and 567 G with 1024, without
# the classifier; learned positions add 2.5 M and 5.9 M.
# Sure (the authors' development code): experts, half width, adapters of a
#   quarter of the width, drop path, the heads, space and time in every block.
# Our choice among the variants of that code, which of them was published
#   being unknown: exchanges one after the other (its default; the figure of
#   the paper draws them side by side: exchange_order='parallel'), sound in
#   the last three blocks and shared projections (its script of complexity).
model = dict(
    type='MMRecognizer3D',
    data_preprocessor=dict(
        type='AudioVisualDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        format_shape='NCTHW'),
    backbone=dict(
        type='CAST',
        experts=dict(
            spatial=dict(
                type='CLIPExpert',
                arch='base',
                num_frames=16,
                pretrained='openai'),
            temporal=dict(
                type='VideoMAEExpert',
                arch='base',
                num_frames=16,
                pretrained='checkpoints/videomae.pth'),
            audio=dict(
                type='ASTExpert',
                arch='base',
                num_frames=400,
                pretrained='hf://MIT/ast-finetuned-audioset-10-10-0.4593')),
        exchanges=[
            dict(type='BCAST', between=('spatial', 'temporal'), ratio=0.5),
            dict(
                type='BCAST',
                between=('spatial', 'audio'),
                layers=[9, 10, 11],
                ratio=0.5,
                positions=True),
            dict(
                type='BCAST',
                between=('temporal', 'audio'),
                layers=[9, 10, 11],
                ratio=0.5,
                positions=True)
        ],
        exchange_order='sequential',
        share_projections=True,
        adapter_ratio=0.25,
        ffn_adapter_scale=0.5,
        drop_path_rate=0.2),
    cls_head=dict(
        type='CA2STHead',
        in_channels=768,
        num_classes=309,
        label_smooth_eps=0.1,
        average_clips='prob'))
