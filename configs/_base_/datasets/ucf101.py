# UCF-101 with sound, split 1. Sure (the authors' development code): 101
# classes, 16 frames, dense. Our choice: 400 frames of sound at 16 kHz (most
# videos last 4 to 10 s), 2 clips x 3 crops. About half of the videos have no
# audio track; the authors leave them out, here they are marked and count.
# Lists: lines "path label", labels from 0, as MMAction2 makes them.
_base_ = 'kineticssound.py'

train_pipeline = _base_.train_pipeline
train_pipeline[2].update(num_frames=400)
val_pipeline = _base_.val_pipeline
val_pipeline[2].update(num_frames=400)
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(num_clips=2)
test_pipeline[2].update(num_frames=400)

train_dataloader = dict(
    dataset=dict(
        ann_file='data/ucf101/ucf101_train_split_1_videos.txt',
        data_prefix=dict(video='data/ucf101/videos'),
        num_classes=101,
        classes=None,
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        ann_file='data/ucf101/ucf101_val_split_1_videos.txt',
        data_prefix=dict(video='data/ucf101/videos'),
        num_classes=101,
        classes=None,
        pipeline=val_pipeline))
test_dataloader = dict(
    dataset=dict(
        ann_file='data/ucf101/ucf101_val_split_1_videos.txt',
        data_prefix=dict(video='data/ucf101/videos'),
        num_classes=101,
        classes=None,
        pipeline=test_pipeline))
