# AIM (arXiv 2302.03024) on Kinetics-400: 30 epochs of 64 clips a step; warm-up
# over 2.5 epochs from a tenth of the rate, on top of a cosine that moves from
# epoch to epoch; norms alone are not decayed.
_base_ = 'adamw_70e.py'

optim_wrapper = dict(
    paramwise_cfg=dict(layer_decay_rate=1., undecayed=['norms']),
    optimizer=dict(lr=3e-4, weight_decay=0.05))
auto_scale_lr = dict(base_batch_size=64)
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=0.1,
        end=2.5,
        by_epoch=True,
        convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max=30, eta_min=0, end=30, by_epoch=True)
]
train_cfg = dict(max_epochs=30)
