# Kinetics-700. Lists are made as for Kinetics-400.
_base_ = 'kinetics400.py'

train_dataloader = dict(
    dataset=dict(
        ann_file='data/kinetics700/kinetics700_train_list_videos.txt',
        data_prefix=dict(video='data/kinetics700/videos_train'),
        num_classes=700))
val_dataloader = dict(
    dataset=dict(
        ann_file='data/kinetics700/kinetics700_val_list_videos.txt',
        data_prefix=dict(video='data/kinetics700/videos_val'),
        num_classes=700))
test_dataloader = dict(
    dataset=dict(
        ann_file='data/kinetics700/kinetics700_val_list_videos.txt',
        data_prefix=dict(video='data/kinetics700/videos_val'),
        num_classes=700))
