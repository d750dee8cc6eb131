# Source: VideoMAE's own result, which CAST (arXiv 2311.18825, table 2 and
#   table 11) prints for VideoMAE alone (87 M, 180 G): VideoMAE ViT-B/16, all
#   of it trained, from its self-supervised weights, 75 epochs at a rate of
#   5e-4. Not taken over: its repeated augmentation of 2 and its batch; what
#   else table 4 of CAST says is kept.
# Expected: 81.5 top-1 (published; not measured here).
# Views: test 5 clips (16 frames, every 4th) x 3 crops of 224.
# Weights: VideoMAE-B pre-trained on K400 without labels at the path below.
_base_ = './videomae-base-p16_adapters_16xb6-dense-16x4x1-70e_kinetics400-rgb.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='VideoMAEExpert',
        arch='base',
        num_frames=16,
        drop_path_rate=0.2,
        pretrained='checkpoints/videomae-base_k400.pth',
        pretrained_kind='pre-trained'))

# 16 GPUs x 6 clips x 6 = 576 clips an optimizer step.
optim_wrapper = dict(accumulative_counts=6, optimizer=dict(lr=5e-4))
train_cfg = dict(max_epochs=75)
