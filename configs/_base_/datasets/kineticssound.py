# Kinetics-Sound: the 31 classes of Kinetics-400 that can be heard. Sure (the
# authors' development code): 31 classes, 16 frames, dense, whole sound, a
# window of it. Our choice: 1024 frames of sound (10 s, the length of the
# videos) at 16 kHz; 5 clips x 3 crops as on Kinetics-400.
# Lists: tools/data/prepare.py kineticssound.
_base_ = 'kinetics400.py'

inputs = dict(
    type='PackActionInputs',
    collect_keys=('imgs', 'audio', 'has_audio'),
    meta_keys=('img_shape', 'missing_sound', 'sound'))
train_pipeline = _base_.train_pipeline
train_pipeline.insert(2,
                      dict(type='AudioDecode', num_frames=1024, defer=True))
train_pipeline.insert(4, dict(type='SpecAugment'))  # of every repeat anew
train_pipeline[-1] = inputs
val_pipeline = _base_.val_pipeline
val_pipeline.insert(2,
                    dict(type='AudioDecode', num_frames=1024, test_mode=True))
val_pipeline[-1] = inputs
test_pipeline = _base_.test_pipeline
test_pipeline.insert(
    2,
    dict(type='AudioDecode', num_frames=1024, num_crops=3, test_mode=True))
test_pipeline[-1] = inputs

train_dataloader = dict(
    dataset=dict(
        ann_file='data/kinetics400/kineticssound_train_list_videos.txt',
        num_classes=31,
        classes='kinetics_sound',
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        ann_file='data/kinetics400/kineticssound_val_list_videos.txt',
        num_classes=31,
        classes='kinetics_sound',
        pipeline=val_pipeline))
test_dataloader = dict(
    dataset=dict(
        ann_file='data/kinetics400/kineticssound_val_list_videos.txt',
        num_classes=31,
        classes='kinetics_sound',
        pipeline=test_pipeline))
