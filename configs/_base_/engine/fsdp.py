# FSDP2: every process holds its part of weights (frozen ones too), gradients
# and the optimizer's state. Start with --engine fsdp, or take the lines over.
model_wrapper_cfg = dict(type='FullyShardedModel')
default_hooks = dict(sharding=dict(type='ShardingHook'))
