# Diving48, with flips. Lists are made as for Something-Something V2.
_base_ = 'ssv2.py'

train_pipeline = _base_.train_pipeline
train_pipeline.insert(-3, dict(type='Flip', flip_ratio=0.5, lazy=True))

train_dataloader = dict(
    dataset=dict(
        ann_file='data/diving48/diving48_train_list_videos.txt',
        data_prefix=dict(video='data/diving48/videos'),
        num_classes=48,
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        ann_file='data/diving48/diving48_val_list_videos.txt',
        data_prefix=dict(video='data/diving48/videos'),
        num_classes=48))
test_dataloader = dict(
    dataset=dict(
        ann_file='data/diving48/diving48_val_list_videos.txt',
        data_prefix=dict(video='data/diving48/videos'),
        num_classes=48))
