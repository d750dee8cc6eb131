# Source: CAST (arXiv 2311.18825), table 4 for the recipe: one expert,
#   frozen, with CAST's adapters. The paper's single experts are fully
#   fine-tuned without adapters: see the configs of that name.
# Expected: unknown: nothing is published for this variant (not measured
#   here).
# Views: test 5 clips (16 frames, every 4th) x 3 crops of 224.
# Weights: VideoMAE-B fine-tuned on K400 at the path below.
_base_ = [
    '../_base_/models/videomae_adapted_base_p16.py',
    '../_base_/datasets/kinetics400.py',
    '../_base_/schedules/adamw_70e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=dict(
        blending=dict(
            type='RandomBatchAugment',
            augments=dict(
                type='MixupBlending', alpha=0.8, num_classes=400),
            probs=0.5)),
    backbone=dict(
        expert=dict(
            pretrained='checkpoints/videomae-base_k400-finetuned.pth',
            pretrained_kind='fine-tuned',
            pretrained_norm=False)))

# 16 GPUs x 6 clips x 6 = 576 clips an optimizer step.
optim_wrapper = dict(accumulative_counts=6)
