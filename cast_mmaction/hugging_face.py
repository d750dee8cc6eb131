"""Classifiers of Hugging Face's transformers as ready recognizers."""
from pathlib import Path
from typing import Union

import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from .checkpoints import CheckpointError, load_strictly
from .checkpoints.hugging_face import from_hugging_face
from .checkpoints.hugging_face_config import (class_names, expert_of,
                                              layout_of, our_config)
from .checkpoints.hugging_face_files import read_repository
from .foreign_config import check_plain, no_larger_than

# Mean and deviation of the frames where they are not ImageNet's.
NORMS = dict(timesformer=([114.75] * 3, [57.375] * 3))
IMAGENET = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])


def open_classifier(pretrained: Union[str, Path],
                    device: Union[str, torch.device] = 'cpu') -> nn.Module:
    """A recognizer of a classifier that ``save_pretrained`` has written.

    Its test pipeline takes the frames evenly from the whole video and the
    middle of each, once.

    Args:
        pretrained: 'hf://OWNER/NAME[@REVISION]', or a folder.
        device: Where to put it.

    Returns:
        The recognizer in evaluation mode, with the config that
        ``mmaction.apis.inference_recognizer`` reads and the names of its
        classes in ``dataset_meta``.

    Raises:
        CheckpointError: if it cannot be read, or has no classifier.
        ImportError: with the command that installs the extra.
    """
    config, weights = read_repository(pretrained)
    try:
        layout = layout_of(config)
        state_dict = from_hugging_face(weights, layout)
        if 'cls_head.fc_cls.weight' not in state_dict:
            raise CheckpointError(
                'it has no classifier; name it as `pretrained` of an expert')
        with no_larger_than(weights, 'config.json'):
            model_cfg = our_config(config, classifies=True)
        check_plain(model_cfg, 'config.json')
    except CheckpointError as error:
        raise CheckpointError(f'{pretrained}: {error}') from None
    mean, std = NORMS.get(layout.source, IMAGENET)
    model_cfg['data_preprocessor'] = dict(
        type='ActionDataPreprocessor',
        mean=mean,
        std=std,
        format_shape='NCTHW')
    init_default_scope('mmaction')
    with no_larger_than(weights, str(pretrained)):
        model = MODELS.build(model_cfg)
    load_strictly(model, state_dict, str(pretrained))
    expert = expert_of(model)
    side = expert.img_size
    pipeline = [
        dict(type='DecordInit'),
        dict(
            type='UniformSample',
            clip_len=expert.num_frames,
            num_clips=1,
            test_mode=True),
        dict(type='DecordDecode'),
        dict(type='Resize', scale=(-1, side * 256 // 224)),
        dict(type='CenterCrop', crop_size=side),
        dict(type='FormatShape', input_format='NCTHW'),
        dict(type='PackActionInputs')
    ]
    model.cfg = Config(dict(model=model_cfg, test_pipeline=pipeline))
    model.dataset_meta = dict(classes=class_names(config))
    return model.to(device).eval()
