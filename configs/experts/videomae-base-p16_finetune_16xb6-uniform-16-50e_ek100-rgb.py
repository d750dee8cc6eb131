# Source: CAST (arXiv 2311.18825), tables 2 and 9: VideoMAE ViT-B/16 alone,
#   all of it trained, without adapters (87 M; 180 G); the recipe of table 4.
# Expected: 70.5 verb, 51.4 noun, 41.7 action (published; not measured here).
# Views: test 2 clips (16 frames, spread) x 3 crops of 224.
# Weights: VideoMAE-B pre-trained on EK100 at the path below.
_base_ = './videomae-base-p16_adapters_16xb6-uniform-16-50e_ek100-rgb.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='VideoMAEExpert',
        arch='base',
        num_frames=16,
        drop_path_rate=0.2,
        pretrained='checkpoints/videomae-base_ek100.pth'))

# 16 GPUs x 6 clips x 4 = 384 clips an optimizer step.
optim_wrapper = dict(accumulative_counts=4)
