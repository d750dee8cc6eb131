# Layer-wise lateral connections: a Linear each way, added to the patch of
#   the same place and time.
_base_ = './cast.py'

model = dict(
    backbone=dict(exchange=dict(_delete_=True, type='Lateral')))
