"""Two labels from every recognition backbone of the host."""
import pytest
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample

# Backbone, width of its feature, shape of a sample's frames or of a view.
FRAMES, CLIP = (4, 3, 32, 32), (3, 4, 32, 32)
RESNET_3D = dict(
    depth=18, pretrained=None, pretrained2d=False, norm_eval=False)
PATHWAY = dict(
    type='resnet3d', depth=18, pretrained=None, conv1_stride_t=1,
    pool1_stride_t=1, inflate=(0, 0, 1, 1))
BACKBONES = {
    'TSN': (dict(type='ResNet', depth=18), 512, FRAMES),
    'TSN, torchvision': (dict(type='torchvision.resnet18'), 512, FRAMES),
    'TSN, timm': (dict(
        type='timm.vit_tiny_patch16_224', img_size=32), 192, FRAMES),
    'TSM': (dict(
        type='ResNetTSM', depth=50, num_segments=4, shift_div=8), 2048,
            FRAMES),
    'TSM, halving time': (dict(
        type='ResNetTSM', depth=50, num_segments=4, temporal_pool=True),
                          2048, FRAMES),
    'TSM, MobileNet': (dict(
        type='MobileNetV2TSM', num_segments=4, shift_div=8), 1280, FRAMES),
    'TSN, MobileNet': (dict(type='MobileNetV2'), 1280, FRAMES),
    'TIN': (dict(
        type='ResNetTIN', depth=50, num_segments=4, norm_eval=False), 2048,
            FRAMES),
    'TANet': (dict(
        type='TANet', depth=50, num_segments=4, tam_cfg={}), 2048, FRAMES),
    'C2D': (dict(type='C2D', depth=18), 512, CLIP),
    'C3D': (dict(type='C3D', out_dim=4608), 4096, (3, 16, 64, 64)),
    'I3D': (dict(type='ResNet3d', **RESNET_3D), 512, CLIP),
    'R(2+1)D': (dict(
        type='ResNet2Plus1d', conv_cfg=dict(type='Conv2plus1d'), **RESNET_3D),
                512, (3, 8, 32, 32)),
    'CSN': (dict(
        type='ResNet3dCSN', depth=50, pretrained=None, pretrained2d=False,
        with_pool2=False, bottleneck_mode='ir'), 2048, CLIP),
    'SlowOnly': (dict(type='ResNet3dSlowOnly', **RESNET_3D), 512, CLIP),
    'SlowFast': (dict(
        type='ResNet3dSlowFast', pretrained=None, resample_rate=4, speed_ratio=4,
        slow_pathway=dict(PATHWAY, lateral=True, conv1_kernel=(1, 7, 7)),
        fast_pathway=dict(PATHWAY, lateral=False, base_channels=8,
                          conv1_kernel=(5, 7, 7))), 576, (3, 8, 32, 32)),
    'OmniSource': (dict(type='OmniResNet'), 2048, CLIP),
    'TimeSformer': (dict(
        type='TimeSformer', num_frames=4, img_size=32, patch_size=16,
        embed_dims=16, num_heads=2, num_transformer_layers=1), 16, CLIP),
    'MViT': (dict(
        type='MViT', arch=dict(
            embed_dims=16, num_layers=2, num_heads=1, downscale_indices=[1]),
        spatial_size=32, temporal_size=4), 32, CLIP),
    'Swin': (dict(
        type='SwinTransformer3D', arch=dict(
            embed_dims=24, depths=[1, 1, 1, 1], num_heads=[1, 2, 4, 8]),
        pretrained2d=False, window_size=(2, 2, 2)), 192, (3, 4, 64, 64)),
    'UniFormer': (dict(
        type='UniFormer', depth=[1, 1, 1, 1], embed_dim=[16, 16, 16, 16],
        head_dim=8, img_size=32), 16, CLIP),
    'UniFormerV2': (dict(
        type='UniFormerV2', input_resolution=32, patch_size=16, width=16,
        layers=2, heads=2, t_size=4, return_list=[0, 1], n_layers=2,
        n_dim=16, n_head=2, mlp_dropout=[0., 0.], clip_pretrained=False,
        temporal_downsample=False), 16, CLIP),
    'VideoMAE': (dict(
        type='VisionTransformer', img_size=32, patch_size=16, embed_dims=16,
        depth=1, num_heads=2, num_frames=4), 16, CLIP),
    'VideoMAE, maps': (dict(
        type='VisionTransformer', img_size=32, patch_size=16, embed_dims=16,
        depth=1, num_heads=2, num_frames=4, return_feat_map=True), 16, CLIP),
    'X3D': (dict(type='X3D', gamma_w=1, gamma_b=2.25, gamma_d=2.2), 432,
            (3, 4, 64, 64)),
    'audio': (dict(
        type='ResNetAudio', depth=50, pretrained=None, in_channels=1,
        norm_eval=False), 1024, (1, 64, 40)),
}
LEFT_OUT = {
    # Of sound, of poses, of skeletons: no videos come in.
    'AAGCN', 'STGCN', 'RGBPoseConv3D',
    'MobileOneTSM',  # registered only beside mmpretrain
}


def test_none_is_forgotten():
    from mmaction.models import backbones
    tried = {backbone['type'] for backbone, *_ in BACKBONES.values()}
    assert set(backbones.__all__) - tried - LEFT_OUT == {'ResNet3dLayer'}


@pytest.mark.parametrize('name', BACKBONES)
def test_verb_and_noun_from(name):
    backbone, width, shape = BACKBONES[name]
    if name == 'TIN':
        pytest.importorskip('mmcv._ext', reason='TIN needs the whole mmcv')
    recognizer = 'Recognizer2D' if shape == FRAMES else 'Recognizer3D'
    if name == 'audio':
        recognizer = 'RecognizerAudio'
    model = MODELS.build(
        dict(
            type=recognizer,
            backbone=backbone,
            cls_head=dict(
                type='VerbNounHead', in_channels=width, num_verbs=3,
                num_nouns=4, concat=name == 'SlowFast')))
    # A sample of Recognizer2D is its frames; others are trained on one view
    # and tested on some.
    one, two = ((shape, shape) if shape == FRAMES else
                ((1, *shape), (2, *shape)))
    samples = [
        ActionDataSample(gt_verb=torch.tensor([i]), gt_noun=torch.tensor([i]))
        for i in range(2)
    ]
    losses = model.train().loss(torch.randn(2, *one), samples)
    assert losses['loss_verb'].isfinite() and losses['loss_noun'].isfinite()
    with torch.no_grad():
        scored = model.eval().predict(torch.randn(2, *two), samples)
    for sample in scored:
        assert sample.pred_score['verb'].shape == (3, )
        assert sample.pred_score['noun'].sum() == pytest.approx(1)


def test_frames_of_a_sample_are_averaged():
    head = MODELS.build(dict(type='VerbNounHead', in_channels=8, num_verbs=3,
                             num_nouns=4))
    maps = torch.randn(2 * 4, 8, 3, 3)
    verb, _ = head(maps, num_samples=2, num_segs=4)
    expected = head.fc_verb(maps.mean((2, 3)).view(2, 4, 8).mean(1))
    torch.testing.assert_close(verb, expected)
