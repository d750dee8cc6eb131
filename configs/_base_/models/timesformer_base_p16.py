# TimeSformer-B/16 (arXiv 2102.05095), divided space-time attention. 121.6 M
# parameters, all trained, 196.2 G multiply-adds a view of 8 frames. Published
# weights want inputs of mean 0.45 and deviation 0.225.
model = dict(
    type='Recognizer3D',
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[114.75, 114.75, 114.75],
        std=[57.375, 57.375, 57.375],
        format_shape='NCTHW'),
    backbone=dict(
        type='SpaceTimeViT',
        scheme='divided',
        arch='base',
        num_frames=8,
        drop_path_rate=0.1,
        # An image ViT of IN-21K, fine-tuned on IN-1K: see
        # configs/timesformer/README.md.
        pretrained='checkpoints/vit-base-p16_in21k-ft-in1k.pth'),
    cls_head=dict(
        type='LinearHead',
        in_channels=768,
        num_classes=400,
        average_clips='prob'))
