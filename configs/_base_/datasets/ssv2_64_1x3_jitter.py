# Something-Something V2 as TimeSformer has it: 64 frames, one of each part of
# the whole video, short side 256 to 320, uniform in 1 / size, while training;
# test 1 clip x 3 crops.
_base_ = 'ssv2.py'

frames = dict(clip_len=64)
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(exact=True, **frames)
# In place of RandAugment, the random resized crop and what fuses them.
train_pipeline[3:7] = [
    dict(type='InverseRandomRescale', scale_range=(256, 320)),
    dict(type='RandomCrop', size=224),
]
val_pipeline = _base_.val_pipeline
val_pipeline[1].update(frames)
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(num_clips=1, **frames)

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
