# CAST beside the audio expert, which the heads hear and nothing else.
_base_ = '../ca2st_demo.py'

model = dict(
    backbone=dict(
        exchanges=[dict(type='BCAST', between=('spatial', 'temporal'))]))
