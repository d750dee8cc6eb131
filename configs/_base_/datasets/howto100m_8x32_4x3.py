# HowTo100M, whole videos and their tasks, for TimeSformer: 8 frames spread over a window of 256,
# short side 256 to 320 while training; test 4 clips x 3 crops. Lists are made
# as for Kinetics-400.
_base_ = 'kinetics400.py'

frames = dict(clip_len=8, frame_interval=32)
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(frames)
# In place of RandAugment and the random resized crop.
train_pipeline[3:6] = [
    dict(type='RandomRescale', scale_range=(256, 320)),
    dict(type='RandomCrop', size=224),
]
val_pipeline = _base_.val_pipeline
val_pipeline[1].update(frames)
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(num_clips=4, **frames)

train_dataloader = dict(
    dataset=dict(
        ann_file='data/howto100m/howto100m_train_list_videos.txt',
        data_prefix=dict(video='data/howto100m/videos_train'),
        num_classes=1059,
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        ann_file='data/howto100m/howto100m_val_list_videos.txt',
        data_prefix=dict(video='data/howto100m/videos_val'),
        num_classes=1059,
        pipeline=val_pipeline))
test_dataloader = dict(
    dataset=dict(
        ann_file='data/howto100m/howto100m_val_list_videos.txt',
        data_prefix=dict(video='data/howto100m/videos_val'),
        num_classes=1059,
        pipeline=test_pipeline))
