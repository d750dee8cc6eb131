# EVA-02-B/16 of EVA-CLIP in space, fetched by timm. The paper says EVA
#   without a size; chosen here: the one of the other experts' size.
_base_ = './cast.py'

model = dict(
    backbone=dict(
        spatial=dict(
            _delete_=True,
            type='TimmExpert',
            model_name='eva02_base_patch16_clip_224.merged2b',
            pretrained=True)))
