# CAVA-B/16 (arXiv 2503.23447): CLIP ViT-B/16 for space, AST-B/16 for sound,
# B-CAST at half width in every block, each reading all of the other. 49.4 M
# (400 frames of sound) or 56.2 M (1024) trained of 221 or 228 M parameters,
# 242 or 365 G multiply-adds a view, without the classifier.
# Sure (the authors' development code): experts, half width, every block,
#   adapters of a quarter of the width, drop path, the head, AudioSet's figures
#   for every data set. Learned positions: the run whose score is the published
#   one has them; EPIC-SOUNDS' has positions in seconds.
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
            audio=dict(
                type='ASTExpert',
                arch='base',
                num_frames=1024,
                pretrained='hf://MIT/ast-finetuned-audioset-10-10-0.4593')),
        exchanges=[
            dict(
                type='BCAST',
                between=('spatial', 'audio'),
                ratio=0.5,
                positions=True)
        ],
        adapter_ratio=0.25,
        ffn_adapter_scale=0.5,
        drop_path_rate=0.2),
    cls_head=dict(
        type='CAVAHead',
        in_channels=768,
        num_classes=309,
        label_smooth_eps=0.1,
        average_clips='prob'))
