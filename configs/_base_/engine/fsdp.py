# FSDP2: every process holds its part of weights (frozen ones too), gradients
# and the optimizer's state. List it in _base_, or start with --engine fsdp.
model_wrapper_cfg = dict(type='FullyShardedModel')
default_hooks = dict(sharding=dict(type='ShardingHook'))
