# The learning rate is stated for 256 clips an optimizer step; the actual one
# follows from GPUs x batch x accumulation.
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.75),
    optimizer=dict(
        type='AdamW', lr=1e-3, betas=(0.9, 0.999), weight_decay=0.05))
auto_scale_lr = dict(
    enable=True, base_batch_size=256, count_accumulation=True)

param_scheduler = [
    dict(
        type='WarmupCosineLR',
        warmup=5,
        eta_min_ratio=1e-3,
        convert_to_iter_based=True)
]

train_cfg = dict(type='ResumableEpochLoop', max_epochs=70, val_interval=5)
val_cfg = dict(type='PrecisionValLoop')
test_cfg = dict(type='PrecisionTestLoop')
