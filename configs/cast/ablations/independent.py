# Independent experts with adapters: no exchange. 14.5 M trained; the paper's
#   "identity" has 18.1 M, which one more adapter a block would make.
_base_ = './cast.py'

model = dict(backbone=dict(exchange=None))
