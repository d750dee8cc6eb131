# A frozen V-JEPA 2 ViT-L/16 with its attentive probe.
# Source: V-JEPA 2 (arXiv 2506.09985) for the probe; the schedule is ours
#   (theirs searches rates and decays), data as CAST's.
# Expected: not measured.
# Views: test 2 clips (16 frames spread over the segment) x 3 crops of 224.
# Weights: from the hub, fetched once.
_base_ = [
    '../_base_/models/probe_large_today.py',
    '../_base_/datasets/ek100.py',
    '../_base_/schedules/adamw_50e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    cls_head=dict(
        _delete_=True,
        type='VerbNounHead',
        in_channels=1024,
        num_verbs=97,
        num_nouns=300,
        label_smooth_eps=0.1,
        average_clips='prob'))

train_dataloader = dict(batch_size=8)
# 16 GPUs x 8 clips = 128 clips an optimizer step.
train_cfg = dict(max_epochs=20)
