# Diving48 for TimeSformer: 8 frames, one of each part of the whole video,
# short side 256 to 320 and flips while training; test 1 clip x 3 crops. Lists
# are made as for Something-Something V2.
_base_ = 'ssv2.py'

frames = dict(clip_len=8)
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(exact=True, **frames)
# In place of RandAugment and the random resized crop.
train_pipeline[3:6] = [
    dict(type='RandomRescale', scale_range=(256, 320)),
    dict(type='RandomCrop', size=224),
]
train_pipeline.insert(-2, dict(type='Flip', flip_ratio=0.5))
val_pipeline = _base_.val_pipeline
val_pipeline[1].update(frames)
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(num_clips=1, **frames)

train_dataloader = dict(
    dataset=dict(
        ann_file='data/diving48/diving48_train_list_videos.txt',
        data_prefix=dict(video='data/diving48/videos'),
        num_classes=48,
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        ann_file='data/diving48/diving48_val_list_videos.txt',
        data_prefix=dict(video='data/diving48/videos'),
        num_classes=48,
        pipeline=val_pipeline))
test_dataloader = dict(
    dataset=dict(
        ann_file='data/diving48/diving48_val_list_videos.txt',
        data_prefix=dict(video='data/diving48/videos'),
        num_classes=48,
        pipeline=test_pipeline))
