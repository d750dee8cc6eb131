# EPIC-KITCHENS-100 with the sound of the same segments, out of the untrimmed
# videos. Sure (the authors' development code): the segment exactly, no sound
# around it; 16 frames spread over it, 2 clips x 3 crops. Our choice: 400
# frames of sound (the complexity script's), 16 kHz (their files: 24 kHz).
# For sound in files of its own give AudioDecode
# file='data/ek100/audio/{stem}.flac' (whole videos), or
# file='data/ek100/audio/{narration_id}.wav' and trimmed=True (segments).
_base_ = 'ek100.py'

inputs = dict(
    type='PackVerbNounInputs',
    collect_keys=('imgs', 'audio', 'has_audio', 'imgs_times', 'audio_times'))
train_pipeline = _base_.train_pipeline
train_pipeline.insert(2, dict(type='AudioDecode', num_frames=400, defer=True))
train_pipeline.insert(4, dict(type='SpecAugment'))  # of every repeat anew
train_pipeline[-1] = inputs
val_pipeline = _base_.val_pipeline
val_pipeline.insert(2,
                    dict(type='AudioDecode', num_frames=400, test_mode=True))
val_pipeline[-1] = inputs
test_pipeline = _base_.test_pipeline
test_pipeline.insert(
    2, dict(type='AudioDecode', num_frames=400, num_crops=3, test_mode=True))
test_pipeline[-1] = inputs

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
