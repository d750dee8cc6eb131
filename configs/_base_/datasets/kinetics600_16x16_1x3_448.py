# Kinetics-600 as TimeSformer-HR has it: see kinetics400_16x16_1x3_448.py.
_base_ = 'kinetics600.py'

frames = dict(clip_len=16, frame_interval=16)
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(frames)
# In place of RandAugment and the random resized crop.
train_pipeline[3:6] = [
    dict(type='RandomRescale', scale_range=(448, 512)),
    dict(type='RandomCrop', size=448),
]
val_pipeline = _base_.val_pipeline
val_pipeline[1].update(test_starts='first', **frames)
val_pipeline[3].update(size=448)
val_pipeline[4].update(crop_size=448)
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(num_clips=1, test_starts='first', **frames)
test_pipeline[3].update(size=448)
test_pipeline[4].update(crop_size=448)

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
