# DDP, and every process holds its part of the optimizer's state. Start with
# --engine zero, or take the lines over into a config.
optim_wrapper = dict(optimizer=dict(sharded=True))
