# Kinetics-600 as TimeSformer's authors have it: see kinetics400_8x32_1x3.py.
_base_ = 'kinetics600.py'

frames = dict(clip_len=8, frame_interval=32)
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(frames)
# In place of RandAugment and the random resized crop.
train_pipeline[3:6] = [
    dict(type='RandomRescale', scale_range=(256, 320)),
    dict(type='RandomCrop', size=224),
]
val_pipeline = _base_.val_pipeline
val_pipeline[1].update(test_starts='first', **frames)
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(num_clips=1, test_starts='first', **frames)

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
