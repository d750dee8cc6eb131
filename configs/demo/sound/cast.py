# CAST, which hears nothing.
_base_ = '../cast_demo.py'

model = dict(cls_head=dict(num_nouns=16))
dataset = dict(data_root='data/demo_sound', num_nouns=16)
train_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
