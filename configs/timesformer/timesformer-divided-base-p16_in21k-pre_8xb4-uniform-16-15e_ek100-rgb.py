# Source: none published: TimeSformer's optimizer under CAST's EK100
#   sampling.
# Expected: unknown (not measured here).
# Views: test 2 clips (16 frames, spread) x 3 crops of 224.
# Weights: ViT-B/16 of IN-21K, fine-tuned on IN-1K, at the path in the model;
#   see the README.
_base_ = [
    '../_base_/models/timesformer_base_p16.py',
    '../_base_/datasets/ek100.py',
    '../_base_/schedules/sgd_15e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(num_frames=16),
    cls_head=dict(
        _delete_=True,
        type='VerbNounHead',
        in_channels=768,
        average_clips='prob'))

# 8 GPUs x 4 clips = 32 clips an optimizer step.
train_dataloader = dict(batch_size=4)
