# Source: CAST (arXiv 2311.18825), table 4 for the recipe and tables 2 and 9
#   for the result; the authors' EPIC-KITCHENS-100 script where the two differ.
# Expected: verb 72.5, noun 60.9, action 49.3 top-1 with 2 x 3 views
#   (published; not measured here).
# Views: test 2 clips (16 frames spread over the segment) x 3 crops of 224.
# Weights: CLIP from open_clip; VideoMAE-B pre-trained on EPIC-KITCHENS-100
#   at the path below. The authors' README gives two different files; which is
#   meant, and whether it was fine-tuned, is open: either kind is taken. The
#   paper's table 6 gives 73.3 / 60.0 / 49.0 with the one of SSv2 and 72.9 /
#   60.4 / 49.4 with that of K400.
_base_ = [
    '../_base_/models/cast_base_p16.py',
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
    backbone=dict(
        temporal=dict(pretrained='checkpoints/videomae-base_ek100.pth')),
    cls_head=dict(
        _delete_=True,
        type='VerbNounHead',
        in_channels=768,
        num_verbs=97,
        num_nouns=300,
        label_smooth_eps=0.1,
        average_clips='prob'))

# 16 GPUs x 6 clips x 4 = 384 clips an optimizer step.
optim_wrapper = dict(accumulative_counts=4)
