# Source: AIM (arXiv 2302.03024), section 4, and its authors' configs. The
#   stride of 8 is likely, no config of this size is public.
# Expected: 84.5 top-1 (published; not measured here).
# Views: test 3 clips (16 frames, every 8th) x 1 crop of 224.
# Weights: CLIP from open_clip.
_base_ = [
    '../_base_/models/aim_base_p16.py',
    '../_base_/datasets/kinetics400_16x8_3x1_crop.py',
    '../_base_/schedules/aim_30e.py',
    '../_base_/default_runtime.py',
]

model = dict(backbone=dict(num_frames=16))

# 8 GPUs x 8 clips = 64 clips an optimizer step.
train_dataloader = dict(batch_size=8)
