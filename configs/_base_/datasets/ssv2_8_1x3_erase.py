# Something-Something V2 as AIM has it: 8 frames, one of each part of the
# whole video, random erasing; test 1 clip x 3 crops.
_base_ = 'ssv2.py'

frames = dict(clip_len=8)
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(exact=True, **frames)
train_pipeline.insert(7, dict(type='ClipRandomErasing', prob=0.25))
val_pipeline = _base_.val_pipeline
val_pipeline[1].update(frames)
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(num_clips=1, **frames)

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
