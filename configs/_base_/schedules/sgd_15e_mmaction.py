# TimeSformer as MMAction2 has it: 64 clips a step, clipped gradients, a tenth of
# the rate after 5 epochs and again after 10; tokens and positions are not
# decayed.
_base_ = 'sgd_15e.py'

optim_wrapper = dict(
    paramwise_cfg=dict(undecayed=['named']),
    clip_grad=dict(max_norm=40, norm_type=2))
auto_scale_lr = dict(base_batch_size=64)
param_scheduler = [
    dict(type='MultiStepLR', milestones=[5, 10], gamma=0.1, by_epoch=True)
]
