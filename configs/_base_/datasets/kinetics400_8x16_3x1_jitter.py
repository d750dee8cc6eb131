# Kinetics-400 as ST-Adapter has it: 8 frames, exactly every 16th, short side
# 224 to 258, bicubic, while training; test 3 clips x 1 crop, the clips from
# the first to the last possible place.
_base_ = 'kinetics400.py'

frames = dict(clip_len=8, frame_interval=16)
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(exact=True, **frames)
# In place of RandAugment and the random resized crop.
train_pipeline[3:6] = [
    dict(
        type='RandomRescale',
        scale_range=(224, 258),
        interpolation='bicubic'),
    dict(type='RandomCrop', size=224),
]
val_pipeline = _base_.val_pipeline
val_pipeline[1].update(test_starts='ends', **frames)
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(num_clips=3, test_starts='ends', **frames)
test_pipeline[4] = dict(type='CenterCrop', crop_size=224)

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
