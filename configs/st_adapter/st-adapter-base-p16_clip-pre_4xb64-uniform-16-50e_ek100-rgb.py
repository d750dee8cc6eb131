# Source: none published: ST-Adapter's optimizer under CAST's EK100 sampling.
#   CAST did not train it; the figures that it cites are those of 8 frames and
#   3 x 1 views, see the config of that name.
# Expected: unknown (not measured here).
# Views: test 2 clips (16 frames, spread) x 3 crops of 224.
# Weights: CLIP from open_clip.
_base_ = [
    '../_base_/models/st_adapter_base_p16.py',
    '../_base_/datasets/ek100.py',
    '../_base_/schedules/st_adapter_12e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(num_frames=16, places=['attn', 'ffn']),
    cls_head=dict(
        _delete_=True,
        type='VerbNounHead',
        in_channels=768,
        dropout_ratio=0.5,
        average_clips='prob'))

# 4 GPUs x 64 clips = 256 clips an optimizer step.
train_dataloader = dict(batch_size=64)
train_cfg = dict(max_epochs=50)
