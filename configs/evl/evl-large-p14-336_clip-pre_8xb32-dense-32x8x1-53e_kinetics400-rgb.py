# Source: EVL (arXiv 2208.03550), section 4, and its authors' scripts; no
#   script has this size.
# Expected: 87.7 top-1 (published; not measured here).
# Views: test 3 clips (32 frames, every 8th) x 1 crop of 336.
# Weights: CLIP from open_clip, ViT-L/14 at 336 pixels.
_base_ = [
    '../_base_/models/evl_base_p16.py',
    '../_base_/datasets/kinetics400_32x8_3x1_336.py',
    '../_base_/schedules/evl_53e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(arch='large', patch_size=14, img_size=336, num_frames=32),
    cls_head=dict(in_channels=1024))

# 8 GPUs x 32 clips = 256 clips an optimizer step.
train_dataloader = dict(batch_size=32)
