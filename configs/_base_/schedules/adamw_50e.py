_base_ = 'adamw_70e.py'

train_cfg = dict(max_epochs=50)
