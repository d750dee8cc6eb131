# Source: none published: EVL with the SSv2 decoder under CAST's EK100
#   sampling.
# Expected: unknown (not measured here).
# Views: test 2 clips (16 frames, spread) x 3 crops of 224.
# Weights: CLIP from open_clip.
_base_ = [
    '../_base_/models/evl_base_p16.py',
    '../_base_/datasets/ek100.py',
    '../_base_/schedules/evl_53e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(num_frames=16, num_decoder_layers=12),
    cls_head=dict(
        _delete_=True,
        type='VerbNounHead',
        in_channels=768,
        dropout_ratio=0.5,
        average_clips='prob'))

# 8 GPUs x 32 clips = 256 clips an optimizer step.
train_dataloader = dict(batch_size=32)
train_cfg = dict(max_epochs=50)
