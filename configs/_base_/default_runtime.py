custom_imports = dict(imports=['cast_mmaction'], allow_failed_imports=False)
default_scope = 'mmaction'

default_hooks = dict(
    runtime_info=dict(type='RuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=20, ignore_last=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='SafeCheckpointHook',
        interval=1,
        trainable_only=True,  # frozen experts are named, not stored
        save_best='auto',
        max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    sync_buffers=dict(type='SyncBuffersHook'),
    step_seed=dict(type='StepSeedHook'),
    precision=dict(type='PrecisionHook'),
    non_finite=dict(type='NonFiniteHook'),
    preemption=dict(type='PreemptionHook'),
    strict_load=dict(type='StrictLoadHook'),
    sizes=dict(type='SizesHook'),
    same_run=dict(type='SameRunHook'),
    unreadable_videos=dict(type='UnreadableVideoHook'),
    missing_sound=dict(type='MissingSoundHook'))

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    # Seconds after which processes that wait for a lost one give up.
    dist_cfg=dict(backend='nccl', timeout=600))

log_processor = dict(type='LogProcessor', window_size=20, by_epoch=True)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='ActionVisualizer', vis_backends=vis_backends)

randomness = dict(seed=0)
log_level = 'INFO'
load_from = None
resume = False
