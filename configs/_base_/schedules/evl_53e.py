# EVL (arXiv 2208.03550): 50,000 steps of 256 clips, 53 epochs of Kinetics-400;
# all parameters are decayed.
_base_ = 'adamw_70e.py'

optim_wrapper = dict(
    paramwise_cfg=dict(layer_decay_rate=1., undecayed=[]),
    optimizer=dict(lr=4e-4, weight_decay=0.05))
param_scheduler = [
    dict(
        type='WarmupCosineLR',
        warmup=0,
        eta_min_ratio=0.,
        convert_to_iter_based=True)
]
train_cfg = dict(max_epochs=53)
