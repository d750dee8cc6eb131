# Both directions of B-CAST read one time step.
_base_ = './cast.py'

model = dict(backbone=dict(exchange=dict(t2s_window='space')))
