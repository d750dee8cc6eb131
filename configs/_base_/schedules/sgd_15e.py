# TimeSformer (arXiv 2102.05095, section 4): SGD, 15 epochs, a tenth of the
# rate after 11 and again after 14.
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='LayerDecayOptimWrapperConstructor',
    optimizer=dict(
        type='SGD', lr=5e-3, momentum=0.9, weight_decay=1e-4))
auto_scale_lr = dict(
    enable=True, base_batch_size=64, count_accumulation=True)

param_scheduler = [
    dict(type='MultiStepLR', milestones=[11, 14], gamma=0.1, by_epoch=True)
]

train_cfg = dict(type='ResumableEpochLoop', max_epochs=15, val_interval=5)
val_cfg = dict(type='PrecisionValLoop')
test_cfg = dict(type='PrecisionTestLoop')
