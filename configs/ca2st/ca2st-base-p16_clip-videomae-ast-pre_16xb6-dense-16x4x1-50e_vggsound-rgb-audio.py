# Source: CAVA and CA2ST (arXiv 2503.23447) and the second author's
#   development code.
# Sure: 309 classes, 1024 frames of sound.
# Our choice: learned positions and the recipe of CAVA on VGG-Sound; 16 kHz;
#   the variants that the base model names.
# Expected: 68.3 top-1 (published; not measured here).
# Views: test 2 clips (16 frames, every 4th) x 3 crops of 224, each with its
#   part of the sound.
# Weights: CLIP from open_clip; AST of AudioSet from Hugging Face;
#   VideoMAE-B pre-trained on Kinetics-400 at the path below (the paper:
#   data set specific).
_base_ = [
    '../_base_/models/ca2st_base_p16.py',
    '../_base_/datasets/vggsound.py',
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
            num_classes=309)),
    backbone=dict(
        experts=dict(
            temporal=dict(pretrained='checkpoints/videomae-base_k400.pth'),
            audio=dict(num_frames=1024))),
    cls_head=dict(num_classes=309))
