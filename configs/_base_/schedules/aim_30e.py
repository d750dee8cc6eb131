# AIM (arXiv 2302.03024) on Kinetics-400: 30 epochs of 64 clips a step.
_base_ = 'adamw_70e.py'

optim_wrapper = dict(
    paramwise_cfg=dict(layer_decay_rate=1.),
    optimizer=dict(lr=3e-4, weight_decay=0.05))
auto_scale_lr = dict(base_batch_size=64)
param_scheduler = [
    dict(
        type='WarmupCosineLR',
        warmup=3,
        eta_min_ratio=0.,
        convert_to_iter_based=True)
]
train_cfg = dict(max_epochs=30)
