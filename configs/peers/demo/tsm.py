# MMAction2's TSM at the size of the demo (MobileNetV2, from random weights):
#   it takes single frames and shifts part of their features along time.
_base_ = '../../cast_demo.py'

model = dict(
    type='Recognizer2D',
    data_preprocessor=dict(format_shape='NCHW'),
    backbone=dict(
        _delete_=True,
        type='MobileNetV2TSM',
        num_segments=8,
        shift_div=8,
        pretrained2d=False),
    cls_head=dict(in_channels=1280))

frames = dict(type='FormatShape', input_format='NCHW')
pipeline = _base_.pipeline
pipeline[-2] = frames
test_pipeline = _base_.test_pipeline
test_pipeline[-2] = frames
train_dataloader = dict(dataset=dict(pipeline=pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
