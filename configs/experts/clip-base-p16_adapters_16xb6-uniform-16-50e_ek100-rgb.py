# Source: CAST (arXiv 2311.18825), table 4 for the recipe: one expert,
#   frozen, with CAST's adapters. The paper's single experts are fully
#   fine-tuned without adapters: see the configs of that name.
# Expected: unknown: nothing is published for this variant (not measured
#   here).
# Views: test 2 clips (16 frames, spread) x 3 crops of 224.
# Weights: CLIP from open_clip.
_base_ = [
    '../_base_/models/clip_adapted_base_p16.py',
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
                probs=0.9))),
    cls_head=dict(
        _delete_=True,
        type='VerbNounHead',
        in_channels=768,
        label_smooth_eps=0.1,
        average_clips='prob'))

# 16 GPUs x 6 clips x 4 = 384 clips an optimizer step.
optim_wrapper = dict(accumulative_counts=4)
