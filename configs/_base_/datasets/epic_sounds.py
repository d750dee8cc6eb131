# EPIC-SOUNDS: what is to be heard in the videos of EPIC-KITCHENS-100. Sure
# (the authors' runs): 44 classes, 400 frames of sound, 16 frames spread over
# the segment, 2 clips x 3 crops. Our choice: 16 kHz.
# The official CSV files are read as they are. For the test split,
# test_dataloader.dataset.ann_file is
# EPIC_Sounds_recognition_test_timestamps.csv.
_base_ = 'ek100_sound.py'

inputs = dict(
    type='PackActionInputs',
    collect_keys=('imgs', 'audio', 'has_audio', 'imgs_times', 'audio_times'),
    meta_keys=('annotation_id', 'img_shape', 'missing_sound', 'sound'))
train_pipeline = _base_.train_pipeline
train_pipeline[-1] = inputs
val_pipeline = _base_.val_pipeline
val_pipeline[-1] = inputs
test_pipeline = _base_.test_pipeline
test_pipeline[-1] = inputs

sounds = dict(
    _delete_=True,
    type='EpicSoundsDataset',
    data_prefix=dict(videos='data/ek100'))
train_dataloader = dict(
    dataset=dict(
        ann_file='data/ek100/annotations/EPIC_Sounds_train.csv',
        pipeline=train_pipeline,
        **sounds))
val_dataloader = dict(
    dataset=dict(
        ann_file='data/ek100/annotations/EPIC_Sounds_validation.csv',
        pipeline=val_pipeline,
        test_mode=True,
        **sounds))
test_dataloader = dict(
    dataset=dict(
        ann_file='data/ek100/annotations/EPIC_Sounds_validation.csv',
        pipeline=test_pipeline,
        test_mode=True,
        **sounds))

val_evaluator = dict(_delete_=True, type='EpicSoundsMetric')
test_evaluator = val_evaluator
