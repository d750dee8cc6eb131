# Source: EVL (arXiv 2208.03550), section 4; there is no script for SSv2. How
#   many of the 24 blocks are read is open; 12, as for B.
# Expected: 66.7 top-1 (published; not measured here).
# Views: test 1 clip (32 frames, one per segment) x 3 crops of 224.
# Weights: CLIP from open_clip.
_base_ = [
    '../_base_/models/evl_base_p16.py',
    '../_base_/datasets/ssv2_32_1x3.py',
    '../_base_/schedules/evl_53e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        arch='large',
        patch_size=14,
        num_frames=32,
        num_decoder_layers=12),
    cls_head=dict(in_channels=1024, num_classes=174))

# 8 GPUs x 32 clips = 256 clips a step; 30,000 steps are 45 epochs.
train_dataloader = dict(batch_size=32)
train_cfg = dict(max_epochs=45)
