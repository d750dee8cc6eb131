# Source: TimeSformer's authors' repository, TimeSformer-HR on Kinetics-600;
#   lists are made as for Kinetics-400.
# Expected: 81.8 top-1 by the released code (published; not measured here).
# Views: test 1 clip (16 frames, every 16th) x 3 crops of 448.
# Weights: ViT-B/16 of IN-21K, fine-tuned on IN-1K, at the path in the model;
#   see the README.
_base_ = './timesformer-divided-hr-base-p16_in21k-pre_8xb4-dense-16x16x1-15e_kinetics400-rgb.py'

model = dict(cls_head=dict(num_classes=600))

train_dataloader = dict(
    dataset=dict(
        ann_file='data/kinetics600/kinetics600_train_list_videos.txt',
        data_prefix=dict(video='data/kinetics600/videos_train'),
        num_classes=600))
val_dataloader = dict(
    dataset=dict(
        ann_file='data/kinetics600/kinetics600_val_list_videos.txt',
        data_prefix=dict(video='data/kinetics600/videos_val'),
        num_classes=600))
test_dataloader = dict(
    dataset=dict(
        ann_file='data/kinetics600/kinetics600_val_list_videos.txt',
        data_prefix=dict(video='data/kinetics600/videos_val'),
        num_classes=600))

# 8 GPUs x 4 clips = 32 clips an optimizer step.
