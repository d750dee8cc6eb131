# TimeSformer as its authors' code has it: SGD with Nesterov, 15 epochs, a tenth
# of the rate after 11 and again after 14; all parameters are decayed. Its rate
# is for 8 clips a node on 4 nodes, 32 in all; the paper (arXiv 2102.05095,
# section 4) has 16 clips on 32 GPUs.
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(undecayed=[]),
    optimizer=dict(
        type='SGD', lr=5e-3, momentum=0.9, weight_decay=1e-4, nesterov=True))
auto_scale_lr = dict(
    enable=True, base_batch_size=32, count_accumulation=True)

param_scheduler = [
    dict(type='MultiStepLR', milestones=[11, 14], gamma=0.1, by_epoch=True)
]

train_cfg = dict(type='ResumableEpochLoop', max_epochs=15, val_interval=5)
val_cfg = dict(type='PrecisionValLoop')
test_cfg = dict(type='PrecisionTestLoop')
