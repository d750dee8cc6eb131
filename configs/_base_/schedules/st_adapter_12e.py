# ST-Adapter (arXiv 2206.13559) on Kinetics-400, as its authors' scripts have
# it; the learning rate is stated for 256 clips a step.
_base_ = 'adamw_70e.py'

optim_wrapper = dict(
    paramwise_cfg=dict(layer_decay_rate=1.),
    optimizer=dict(lr=1e-3, weight_decay=0.01))
param_scheduler = [
    dict(
        type='WarmupCosineLR',
        warmup=2,
        eta_min_ratio=0.,
        convert_to_iter_based=True)
]
train_cfg = dict(max_epochs=12)
