# Layer-wise lateral connections of frozen experts with adapters: a Linear each
#   way, added to the patch of the same place and time. The paper's row is
#   lateral_finetuned.
_base_ = './cast.py'

model = dict(
    backbone=dict(exchange=dict(_delete_=True, type='Lateral')))
