"""Models with sound, at any size."""
from mmaction.registry import MODELS

AUDIO = dict(num_mel_bins=32, num_frames=36)  # 2 x 3 patches
PAIRS = [('spatial', 'temporal'), ('spatial', 'audio'), ('temporal', 'audio')]
HEADS = dict(cava='CAVA', ca2st='CA2ST')


def experts(arch, kind='ca2st', img_size=32, num_frames=4, audio=AUDIO):
    """Configs of the experts of CAVA or CA2ST."""
    video = dict(arch=arch, img_size=img_size, num_frames=num_frames)
    configs = dict(
        spatial=dict(type='CLIPExpert', **video),
        temporal=dict(type='VideoMAEExpert', **video),
        audio=dict(type='ASTExpert', arch=arch, **audio))
    if kind == 'cava':
        del configs['temporal']
    return configs


def exchanges(kind='ca2st', audio_layers=None):
    """Exchanges between all pairs of experts."""
    return [
        dict(
            type='BCAST',
            between=pair,
            layers=audio_layers if 'audio' in pair else None)
        for pair in PAIRS if kind == 'ca2st' or pair == ('spatial', 'audio')
    ]


TINY = dict(embed_dims=16, num_layers=2, num_heads=2)


def backbone_config(kind='ca2st', arch=TINY, audio_layers=None, sizes={},
                    **options):
    return dict(
        type='CAST',
        experts=experts(arch, kind, **sizes),
        exchanges=exchanges(kind, audio_layers),
        **options)


def recognizer(kind='ca2st', verb_noun=False, arch=TINY, num_classes=5,
               changes={}, **backbone):
    """A recognizer of CAVA or CA2ST; ``changes`` are of its backbone."""
    head = dict(in_channels=arch['embed_dims'])
    if verb_noun:
        head.update(type=f'{HEADS[kind]}VerbNounHead')
    else:
        head.update(type=f'{HEADS[kind]}Head', num_classes=num_classes)
    return MODELS.build(
        dict(
            type='MMRecognizer3D',
            backbone=dict(backbone_config(kind, arch, **backbone), **changes),
            cls_head=head))
