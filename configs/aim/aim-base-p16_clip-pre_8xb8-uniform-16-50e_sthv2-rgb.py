# Source: AIM (arXiv 2302.03024), section 4, and its authors' configs: two
#   temporal adapters in a block, a factor of 1 beside the MLP, random erasing.
#   RandAugment before the crop and in CAST's form (m7-n4-mstd0.5-inc1), theirs
#   behind it.
# Expected: 68.1 top-1 in CAST, table 2 (published; not measured here).
# Views: test 1 clip (16 frames, one per segment) x 3 crops of 224.
# Weights: CLIP from open_clip.
_base_ = [
    '../_base_/models/aim_base_p16.py',
    '../_base_/datasets/ssv2_16_1x3_erase.py',
    '../_base_/schedules/aim_50e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        num_frames=16,
        num_temporal_adapters=2,
        ffn_adapter_scale=1.0),
    cls_head=dict(num_classes=174, label_smooth_eps=0.1))

# 8 GPUs x 8 clips = 64 clips an optimizer step.
train_dataloader = dict(batch_size=8)
