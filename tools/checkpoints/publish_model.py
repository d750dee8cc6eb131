"""Publish a trained recognizer: one safetensors file and its model card.

    python tools/checkpoints/publish_model.py configs/cast_k400.py \
        work_dirs/cast_k400/epoch_70.pth published/cast-b-k400 \
        --result 'top-1 85.3' --result 'top-5 97.0' --license cc-by-nc-4.0

The folder can be uploaded to a hub as it is, and
``cast_mmaction.from_pretrained`` loads it, there or here.
"""
import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Optional, Sequence

if TYPE_CHECKING:  # --help does not wait for what takes seconds
    from mmengine.config import Config
    from torch import nn

CROPS = dict(ThreeViewCrop=3, ThreeCrop=3, TenCrop=10)

CARD = """---
license: {license}
library_name: cast-mmaction
pipeline_tag: video-classification
---
# {name}

| | |
|---|---|
| config | `{config}` |
| data set | {dataset} |
| classes | {classes} |
| views | {views} |
| results | {results} |
| parameters | {parameters} |

## Experts

{experts}

## Licence

`{license}`, as given by whoever published this file. It contains the weights
of the experts above: their licences hold as well.

## Use

```python
from cast_mmaction import from_pretrained
from mmaction.apis import inference_recognizer

model = from_pretrained('{file}')
print(inference_recognizer(model, 'video.mp4').pred_score)
```
"""


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', type=Path, help='config of the training')
    parser.add_argument('checkpoint', help='full or trainable-only checkpoint')
    parser.add_argument('folder', type=Path, help='where to write')
    parser.add_argument(
        '--result',
        action='append',
        default=[],
        help="a measured figure such as 'top-1 85.3'; may be repeated")
    parser.add_argument(
        '--license',
        default='other',
        help='id of the licence for the weights (default: other)')
    return parser.parse_args(argv)


def views_of(pipeline: list) -> str:
    """The views of a test pipeline, in words."""
    clips, crops, frames = 1, 1, '?'
    for transform in pipeline:
        if 'clip_len' in transform:
            frames = transform['clip_len']
            clips = transform.get('num_clips', 1)
        crops *= CROPS.get(transform['type'], 1)
    return f'{clips} clips x {crops} crops, {frames} frames each'


def experts_of(model: 'nn.Module') -> str:
    """A list of the frozen experts and where they come from."""
    from cast_mmaction.checkpoints.trained_only import (frozen_tensors,
                                                        is_frozen, sha256)
    lines = []
    for name, module in model.named_modules():
        if is_frozen(module):
            lines.append(
                f'- `{name}`: {type(module).__name__}, from '
                f'`{module.pretrained}`, SHA-256 of the frozen weights '
                f'`{sha256(frozen_tensors(module))}`')
    return '\n'.join(lines) or 'None: the whole model was trained.'


def classes_of(model: 'nn.Module', cfg: 'Config') -> str:
    """How many classes there are, and what the first are called."""
    from cast_mmaction.class_names import names_by_task, names_in_config
    names = names_by_task(
        getattr(model, 'dataset_meta', None) or names_in_config(cfg))
    return '; '.join(
        f'{len(known)} {task}s ({", ".join(known[:5])}'
        f'{", ..." if len(known) > 5 else ""})'
        for task, known in names.items()) or 'without names'


def card(args: argparse.Namespace, cfg: 'Config', model: 'nn.Module',
         file: Path) -> str:
    """The model card."""
    dataset = cfg.test_dataloader.dataset
    count = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return CARD.format(
        license=args.license,
        name=args.config.stem,
        config=args.config.name,
        dataset=f'{dataset.type}, `{Path(dataset.get("ann_file", "")).name}`',
        classes=classes_of(model, cfg),
        views=views_of(dataset.pipeline),
        results=', '.join(args.result) or 'not measured',
        parameters=f'{count / 1e6:.1f} M, {trained / 1e6:.1f} M trained',
        experts=experts_of(model),
        file=file.name)


def run(args: argparse.Namespace) -> None:
    """Write the file and its card."""
    from cast_mmaction.atomic_write import atomic_write
    from cast_mmaction.checkpoints import host_loading
    from cast_mmaction.checkpoints.reading import read_checkpoint
    from cast_mmaction.hub import publish
    from cast_mmaction.precision import of_checkpoint
    from mmaction.registry import MODELS
    from mmengine.config import Config
    from mmengine.registry import init_default_scope
    init_default_scope('mmaction')
    cfg = Config.fromfile(args.config)
    if 'frozen_dtype' in cfg.model.backbone:
        cfg.model.backbone.frozen_dtype = None  # published in float32
    model = MODELS.build(cfg.model)
    content = read_checkpoint(args.checkpoint)
    host_loading.fill(model, content, args.checkpoint)
    precision = of_checkpoint(content) or 'float32'
    file = publish(model, cfg, args.folder, args.config.stem, precision)
    with atomic_write(args.folder / 'README.md') as readme:
        readme.write_text(card(args, cfg, model, file))
    print(f'wrote {file} and its card')


def main(argv: Optional[Sequence[str]] = None) -> None:
    """The command."""
    args = parse_args(argv)
    from cast_mmaction.one_line import refusals_in_one_line
    with refusals_in_one_line('refused'):
        run(args)


if __name__ == '__main__':
    main()
