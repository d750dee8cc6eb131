# Source: TimeSformer's authors' repository, TimeSformer-HR on Kinetics-600.
# Expected: 81.8 top-1 by the released code (published; not measured here).
# Views: test 1 clip (16 frames, every 16th) x 3 crops of 448.
# Weights: ViT-B/16 of IN-21K, fine-tuned on IN-1K, at the path in the model;
#   see the README.
_base_ = [
    '../_base_/models/timesformer_base_p16.py',
    '../_base_/datasets/kinetics600_16x16_1x3_448.py',
    '../_base_/schedules/sgd_15e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(img_size=448, num_frames=16),
    cls_head=dict(num_classes=600))

# 8 GPUs x 4 clips = 32 clips an optimizer step.
train_dataloader = dict(batch_size=4)
