# Diving48 as AIM has it: 32 frames, one of each part of the whole video,
# random resized crops and flips; test 1 clip x 3 crops. Lists are made as for
# Something-Something V2.
_base_ = 'ssv2.py'

frames = dict(clip_len=32)
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(exact=True, **frames)
del train_pipeline[3]  # no RandAugment
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
