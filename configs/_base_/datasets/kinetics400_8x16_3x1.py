# Kinetics-400, 8 frames, every 16th; test 3 clips x 1 crop.
_base_ = 'kinetics400.py'

frames = dict(clip_len=8, frame_interval=16)
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(frames)
val_pipeline = _base_.val_pipeline
val_pipeline[1].update(frames)
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(num_clips=3, **frames)
test_pipeline[4] = dict(type='CenterCrop', crop_size=224)

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
