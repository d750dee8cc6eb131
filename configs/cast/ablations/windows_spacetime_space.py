# T2S reads the whole clip, S2T one time step.
_base_ = './cast.py'

model = dict(backbone=dict(exchange=dict(t2s_window='space_time')))
