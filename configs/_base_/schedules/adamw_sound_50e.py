# Sure (arguments of the authors' evaluation of CAVA, which those of its
# training may differ from): lr 5e-4 for 256 clips, layer decay 0.8, 50 epochs
# with 5 to warm up, batches of 6 accumulated over 2. Our choice: 16 GPUs, as
# CAST has, and the same for CA2ST.
_base_ = 'adamw_50e.py'

optim_wrapper = dict(
    paramwise_cfg=dict(layer_decay_rate=0.8),
    optimizer=dict(lr=5e-4),
    accumulative_counts=2)
