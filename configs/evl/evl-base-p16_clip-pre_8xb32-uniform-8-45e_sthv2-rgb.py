# Source: EVL (arXiv 2208.03550), section 4; there is no script for SSv2.
# Expected: open: 62.4 is published for 32 frames, no source was found for 8
#   frames nor for 61.7, which is also quoted (not measured here).
# Views: test 1 clip (8 frames, one per segment) x 3 crops of 224.
# Weights: CLIP from open_clip.
_base_ = [
    '../_base_/models/evl_base_p16.py',
    '../_base_/datasets/ssv2_8_1x3.py',
    '../_base_/schedules/evl_53e.py',
    '../_base_/default_runtime.py',
]

# All twelve blocks are read.
model = dict(
    backbone=dict(num_decoder_layers=12),
    cls_head=dict(num_classes=174))

# 8 GPUs x 32 clips = 256 clips a step; 30,000 steps are 45 epochs.
train_dataloader = dict(batch_size=32)
train_cfg = dict(max_epochs=45)
