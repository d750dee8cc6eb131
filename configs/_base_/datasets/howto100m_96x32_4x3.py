# HowTo100M for TimeSformer: 96 frames spread over a window of 3072, short
# side 256 to 320 while training; test 4 clips x 3 crops.
_base_ = 'howto100m.py'

frames = dict(clip_len=96, frame_interval=32)
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

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
