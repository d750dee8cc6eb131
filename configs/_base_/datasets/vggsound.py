# VGG-Sound. Sure (the authors' evaluation run): 309 classes, 1024 frames of
# sound, SpecAugment, 2 clips x 3 crops; dense frames. Our choice: every 4th
# frame (their default), 16 kHz, classes in alphabetical order.
# Lists and the names of the classes: tools/data/prepare.py vggsound.
_base_ = 'kineticssound.py'

test_pipeline = _base_.test_pipeline
test_pipeline[1].update(num_clips=2)
labels = dict(
    num_classes=309, classes='data/vggsound/vggsound_classes.txt')

train_dataloader = dict(
    dataset=dict(
        ann_file='data/vggsound/vggsound_train_list_videos.txt',
        data_prefix=dict(video='data/vggsound/videos'),
        **labels))
val_dataloader = dict(
    dataset=dict(
        ann_file='data/vggsound/vggsound_test_list_videos.txt',
        data_prefix=dict(video='data/vggsound/videos'),
        **labels))
test_dataloader = dict(
    dataset=dict(
        ann_file='data/vggsound/vggsound_test_list_videos.txt',
        data_prefix=dict(video='data/vggsound/videos'),
        pipeline=test_pipeline,
        **labels))
