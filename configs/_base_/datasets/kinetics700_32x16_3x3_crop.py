# Kinetics-700 as AIM has it: 32 frames, exactly every 16th, random resized
# crops alone; test 3 clips x 3 crops, the clips in the middles of thirds.
_base_ = 'kinetics700.py'

frames = dict(clip_len=32, frame_interval=16)
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(exact=True, **frames)
del train_pipeline[3]  # no RandAugment
val_pipeline = _base_.val_pipeline
val_pipeline[1].update(test_starts='ends', **frames)
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(num_clips=3, test_starts='centers', **frames)

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
