# Source: AIM (arXiv 2302.03024), section 4, and its authors' configs. One
#   temporal adapter: the published 38 M (L) trained fit that, and so do public
#   copies of the config; the block with two is also named for this set
#   (num_temporal_adapters=2, ffn_adapter_scale=1.).
# Expected: 90.6 top-1 (published; not measured here).
# Views: test 1 clip (32 frames, one per segment) x 3 crops of 224.
# Weights: CLIP from open_clip.
_base_ = [
    '../_base_/models/aim_base_p16.py',
    '../_base_/datasets/diving48_32_1x3_crop.py',
    '../_base_/schedules/aim_50e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(arch='large', patch_size=14, num_frames=32),
    cls_head=dict(in_channels=1024, num_classes=48))

# 8 GPUs x 8 clips = 64 clips an optimizer step.
train_dataloader = dict(batch_size=8)
