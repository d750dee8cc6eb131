# Source: CAST (arXiv 2311.18825), table 4 for the recipe and tables 2 and 11
#   for the result; the authors' K400 script where the two differ.
# Expected: 85.3 top-1 with 5 x 3 views (published; not measured here).
# Views: test 5 clips (16 frames, every 4th) x 3 crops of 224.
# Weights: CLIP from open_clip; VideoMAE-B fine-tuned on K400 (1600 epochs of
#   pre-training, 81.5 top-1 alone), the file that the authors' README links,
#   at the path below. The paper says "pre-trained": the config with "selfsup"
#   in its name starts there. As in the authors' loader the head starts from
#   VideoMAE's classifier, and the read-out norm fresh.
_base_ = [
    '../_base_/models/cast_base_p16.py',
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
        temporal=dict(
            pretrained='checkpoints/videomae-base_k400-finetuned.pth',
            pretrained_kind='fine-tuned',
            pretrained_norm=False)),
    cls_head=dict(
        pretrained='checkpoints/videomae-base_k400-finetuned.pth'))

# 16 GPUs x 6 clips x 6 = 576 clips an optimizer step.
optim_wrapper = dict(accumulative_counts=6)
