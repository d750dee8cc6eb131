# Source: CAVA and CA2ST (arXiv 2503.23447) and the second author's
#   development code.
# Sure: 101 classes, dense frames.
# Our choice: 400 frames of sound, learned positions and the recipe of VGG-
#   Sound; 16 kHz; 2 x 3 views; the variants that the base model names.
# Expected: 97.2 top-1 over the 3 splits (published; not measured here).
# Views: test 2 clips (16 frames, every 4th) x 3 crops of 224, each with its
#   part of the sound.
# Weights: CLIP from open_clip; AST of AudioSet from Hugging Face;
#   VideoMAE-B pre-trained on Kinetics-400 at the path below (the paper:
#   data set specific).
_base_ = [
    '../_base_/models/ca2st_base_p16.py',
    '../_base_/datasets/ucf101.py',
    '../_base_/schedules/adamw_sound_50e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=dict(
        blending=dict(
            type='AudioVisualBlending',
            augment=dict(
                type='RandomBatchAugment',
                augments=dict(type='MixupBlending', alpha=0.8),
                probs=0.9),
            num_classes=101)),
    backbone=dict(
        experts=dict(
            temporal=dict(pretrained='checkpoints/videomae-base_k400.pth'))),
    cls_head=dict(num_classes=101))
