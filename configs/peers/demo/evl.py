# EVL at the size of the demo: a query reads the last two blocks of the
#   spatial expert, which sees all eight frames.
_base_ = '../../cast_demo.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='EVL',
        arch={{_base_.arch}},
        img_size=40,
        patch_size=8,
        num_frames=8,
        num_decoder_layers=2,
        cross_frame=True,
        dropout=0.,
        pretrained={{_base_.spatial.pretrained}}))
