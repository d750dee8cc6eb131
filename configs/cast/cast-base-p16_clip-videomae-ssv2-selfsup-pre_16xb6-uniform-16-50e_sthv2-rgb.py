# Source: CAST (arXiv 2311.18825) by the words of the paper: VideoMAE as it
#   is pre-trained on SSv2, without labels. The authors' README links the
#   fine-tuned file, see the config without "selfsup".
# Expected: unknown: nothing is published for these weights (not measured
#   here).
# Views: test 2 clips (16 frames spread over the video) x 3 crops of 224.
# Weights: CLIP from open_clip; VideoMAE-B pre-trained on SSv2 (2400 epochs)
#   without labels at the path below.
_base_ = './cast-base-p16_clip-videomae-ssv2-pre_16xb6-uniform-16-50e_sthv2-rgb.py'

model = dict(
    backbone=dict(
        temporal=dict(
            pretrained='checkpoints/videomae-base_ssv2.pth',
            pretrained_kind='pre-trained',
            pretrained_norm=True)),
    cls_head=dict(pretrained=None))
