# Source: VideoMAE's own result, which CAST (arXiv 2311.18825, table 2 and
#   table 10) prints for VideoMAE alone (87 M, 180 G): VideoMAE ViT-B/16, all
#   of it trained, from its self-supervised weights. Its fine-tuning script:
#   30 epochs at a rate of 5e-4 for 256 videos, 64 GPUs x 6 videos, repeated
#   augmentation of 2 (a video is decoded once and augmented twice, and a batch
#   has both clips; rate and batch count videos). All else is table 4 of CAST.
# Expected: 70.8 top-1 (published; not measured here).
# Views: test 2 clips (16 frames, spread) x 3 crops of 224.
# Weights: VideoMAE-B pre-trained on SSv2 without labels at the path below.
_base_ = './videomae-base-p16_adapters_16xb6-uniform-16-50e_sthv2-rgb.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='VideoMAEExpert',
        arch='base',
        num_frames=16,
        drop_path_rate=0.3,
        pretrained='checkpoints/videomae-base_ssv2.pth',
        pretrained_kind='pre-trained'))

# 16 GPUs x 6 videos x 4 = 384 videos, 768 clips, an optimizer step.
train_dataloader = dict(dataset=dict(num_repeats=2))
optim_wrapper = dict(accumulative_counts=4, optimizer=dict(lr=5e-4))
train_cfg = dict(max_epochs=30)
