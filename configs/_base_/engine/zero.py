# DDP, and every process holds its part of the optimizer's state. List it in
# _base_, or start with --engine zero.
optim_wrapper = dict(optimizer=dict(sharded=True))
