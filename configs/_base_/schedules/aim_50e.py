# AIM on Something-Something V2, Diving48 and EPIC-KITCHENS-100: 50 epochs.
_base_ = 'aim_30e.py'

param_scheduler = _base_.param_scheduler
param_scheduler[1].update(T_max=50, end=50)
train_cfg = dict(max_epochs=50)
