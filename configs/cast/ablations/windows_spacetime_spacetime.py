# Both directions of B-CAST read the whole clip.
_base_ = './cast.py'

model = dict(
    backbone=dict(
        exchange=dict(t2s_window='space_time', s2t_window='space_time')))
