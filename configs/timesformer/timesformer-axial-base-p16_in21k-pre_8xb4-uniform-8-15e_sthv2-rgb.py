# Source: TimeSformer (arXiv 2102.05095), section 4 and table 1; its authors'
#   code.
# Expected: 56.2 top-1 (published; not measured here).
# Views: test 1 clip (8 frames, one per segment) x 3 crops of 224.
# Weights: ViT-B/16 of IN-21K, fine-tuned on IN-1K, at the path in the model;
#   see the README.
_base_ = [
    '../_base_/models/timesformer_base_p16.py',
    '../_base_/datasets/ssv2_8_1x3_jitter.py',
    '../_base_/schedules/sgd_15e.py',
    '../_base_/default_runtime.py',
]

model = dict(backbone=dict(scheme='axial'), cls_head=dict(num_classes=174))

# 8 GPUs x 4 clips = 32 clips an optimizer step.
train_dataloader = dict(batch_size=4)
