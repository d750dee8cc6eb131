# An IN-21K ViT-B/16 in space, fetched by timm.
_base_ = './cast.py'

model = dict(
    backbone=dict(
        spatial=dict(
            _delete_=True,
            type='TimmExpert',
            model_name='vit_base_patch16_224.augreg_in21k',
            pretrained=True)))
