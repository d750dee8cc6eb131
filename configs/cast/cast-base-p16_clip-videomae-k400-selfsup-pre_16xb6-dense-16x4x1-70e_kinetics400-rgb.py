# Source: CAST (arXiv 2311.18825) by the words of the paper: VideoMAE as it
#   is pre-trained on K400, without labels. The authors' README links the
#   fine-tuned file, see the config without "selfsup".
# Expected: unknown: nothing is published for these weights (not measured
#   here).
# Views: test 5 clips (16 frames, every 4th) x 3 crops of 224.
# Weights: CLIP from open_clip; VideoMAE-B pre-trained on K400 (1600 epochs)
#   without labels at the path below.
_base_ = './cast-base-p16_clip-videomae-k400-pre_16xb6-dense-16x4x1-70e_kinetics400-rgb.py'

model = dict(
    backbone=dict(
        temporal=dict(
            pretrained='checkpoints/videomae-base_k400.pth',
            pretrained_kind='pre-trained',
            pretrained_norm=True)),
    cls_head=dict(pretrained=None))
