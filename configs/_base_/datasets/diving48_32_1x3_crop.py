# Diving48 as AIM has it: 32 frames, one of each part of the whole video,
# random resized crops and flips; test 1 clip x 3 crops.
_base_ = 'diving48.py'

frames = dict(clip_len=32)
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(exact=True, **frames)
del train_pipeline[3]  # no RandAugment
val_pipeline = _base_.val_pipeline
val_pipeline[1].update(frames)
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(num_clips=1, **frames)

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
