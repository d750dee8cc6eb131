# Source: none for these experts. The recipe is CAST's (arXiv 2311.18825) for
#   this data set, with experts of width 1024; see
#   ../_base_/models/cast_large_today.py.
# Expected: not measured. To beat: the frozen probes of both experts beside
#   this file.
# Views: test 2 clips (16 frames spread over the segment) x 3 crops of 224.
# Weights: DINOv3 by timm, V-JEPA 2 from the hub, both fetched once.
_base_ = [
    '../_base_/models/cast_large_today.py',
    '../_base_/datasets/ek100.py',
    '../_base_/schedules/adamw_50e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=dict(
        blending=dict(
            type='VerbNounBlending',
            augment=dict(
                type='RandomBatchAugment',
                augments=dict(type='MixupBlending', alpha=0.8),
                probs=0.9),
            num_verbs=97,
            num_nouns=300)),
    cls_head=dict(
        _delete_=True,
        type='VerbNounHead',
        in_channels=1024,
        num_verbs=97,
        num_nouns=300,
        label_smooth_eps=0.1,
        average_clips='prob'))

# 16 GPUs x 6 clips x 4 = 384 clips an optimizer step.
optim_wrapper = dict(accumulative_counts=4)
