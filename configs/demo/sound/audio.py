# The audio expert alone, with adapters: verb and noun from its feature.
_base_ = '../ca2st_demo.py'

model = dict(
    type='Recognizer3D',
    backbone=dict(
        _delete_=True, type='AdaptedExpert', expert={{_base_.audio}}),
    cls_head=dict(type='VerbNounHead'))
# No picture is decoded.
pipeline = [
    *_base_.pipeline[:3],
    dict(type='PackVerbNounInputs', collect_keys=('audio', ))
]
train_dataloader = dict(dataset=dict(pipeline=pipeline))
test_dataloader = dict(dataset=dict(pipeline=pipeline))
