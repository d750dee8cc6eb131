# HowTo100M, whole videos and their 1059 tasks. 
# Lists are made as for Kinetics-400.
_base_ = 'kinetics400.py'

train_dataloader = dict(
    dataset=dict(
        ann_file='data/howto100m/howto100m_train_list_videos.txt',
        data_prefix=dict(video='data/howto100m/videos_train'),
        num_classes=1059))
val_dataloader = dict(
    dataset=dict(
        ann_file='data/howto100m/howto100m_val_list_videos.txt',
        data_prefix=dict(video='data/howto100m/videos_val'),
        num_classes=1059))
test_dataloader = dict(
    dataset=dict(
        ann_file='data/howto100m/howto100m_val_list_videos.txt',
        data_prefix=dict(video='data/howto100m/videos_val'),
        num_classes=1059))
