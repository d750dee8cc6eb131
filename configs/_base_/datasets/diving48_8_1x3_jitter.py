# Diving48 for TimeSformer: 8 frames, one of each part of the whole video,
# short side 256 to 320 and flips while training; test 1 clip x 3 crops.
_base_ = 'diving48.py'

frames = dict(clip_len=8)
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(exact=True, **frames)
# In place of RandAugment and the random resized crop.
train_pipeline[3:6] = [
    dict(type='RandomRescale', scale_range=(256, 320)),
    dict(type='RandomCrop', size=224),
]
val_pipeline = _base_.val_pipeline
val_pipeline[1].update(frames)
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(num_clips=1, **frames)

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
