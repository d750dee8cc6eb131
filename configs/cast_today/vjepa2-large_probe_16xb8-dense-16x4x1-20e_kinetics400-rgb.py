# A frozen V-JEPA 2 ViT-L/16 with its attentive probe.
# Source: V-JEPA 2 (arXiv 2506.09985) for the probe; the schedule is ours
#   (theirs searches rates and decays), data as CAST's.
# Expected: not measured.
# Views: test 5 clips (16 frames, every 4th) x 3 crops of 224.
# Weights: from the hub, fetched once.
_base_ = [
    '../_base_/models/probe_large_today.py',
    '../_base_/datasets/kinetics400.py',
    '../_base_/schedules/adamw_50e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=8)
# 16 GPUs x 8 clips = 128 clips an optimizer step.
train_cfg = dict(max_epochs=20)
