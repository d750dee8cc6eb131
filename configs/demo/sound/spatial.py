# The spatial expert alone, with adapters: verb and noun from its feature.
_base_ = './cast.py'

model = dict(
    backbone=dict(
        _delete_=True, type='AdaptedExpert', expert={{_base_.spatial}}))
