# Source: CAST (arXiv 2311.18825), tables 2 and 9, which trained AIM on EK100
#   with 14 M: the block with two temporal adapters. Its sampling, AIM's
#   optimizer.
# Expected: 64.8 verb, 55.5 noun, 41.3 action (published; not measured here).
# Views: test 2 clips (16 frames, spread) x 3 crops of 224.
# Weights: CLIP from open_clip.
_base_ = [
    '../_base_/models/aim_base_p16.py',
    '../_base_/datasets/ek100.py',
    '../_base_/schedules/aim_50e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        num_frames=16,
        num_temporal_adapters=2,
        ffn_adapter_scale=1.),
    cls_head=dict(
        _delete_=True,
        type='VerbNounHead',
        in_channels=768,
        dropout_ratio=0.5,
        label_smooth_eps=0.1,
        average_clips='prob'))

# 8 GPUs x 8 clips = 64 clips an optimizer step.
train_dataloader = dict(batch_size=8)
