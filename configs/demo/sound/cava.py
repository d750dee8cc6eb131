# CAVA: the spatial and the audio expert.
_base_ = '../ca2st_demo.py'

model = dict(
    backbone=dict(
        experts=dict(
            _delete_=True, spatial={{_base_.spatial}}, audio={{_base_.audio}}),
        exchanges=[dict(type='BCAST', between=('spatial', 'audio'))]),
    cls_head=dict(type='CAVAVerbNounHead'))
