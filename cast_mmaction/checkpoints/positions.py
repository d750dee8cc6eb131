"""Position tables for another grid of patches or another number of frames."""
import math
import re
from typing import Dict, List, Sequence, Tuple

import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from timm.layers import resample_abs_pos_embed
from torch import Tensor

from .rename import CheckpointError, StateDict

# Which tables are laid out over what: 'time' steps, or the patches of a
# frame in 'space', row by row, with the given number of tokens before them.
POSITION_TABLES: List[Tuple[str, Tuple[str, int]]] = [
    (r'(.+\.)?embedding\.positions', ('space', 1)),  # CLIP, TimeSformer
    (r'(.+\.)?time_positions', ('time', 0)),  # TimeSformer, AIM, EVL
    (r'(.+\.)?(query|key)_positions\.time', ('time', 0)),  # B-CAST
    (r'(.+\.)?(query|key)_positions\.space', ('space', 0)),
]

SPECTROGRAM = 'embedding.spectrogram_positions'
AST_BANDS = 12


def fit_positions(
    state_dict: StateDict, target_shapes: Dict[str, Sequence[int]]
) -> Tuple[StateDict, Dict[str, str]]:
    """Resizes position tables to the lengths that a model has.

    Over space bicubic with antialiasing, over time linear, both with
    ``align_corners=False`` and in float32; class tokens keep their
    positions. Tables that have the right length are not touched.

    Args:
        state_dict: Tensors by name, tables of ``(length, D)`` or
            ``(1, length, D)``.
        target_shapes: Shapes of the model's tensors, by name.

    Returns:
        The state dict with resized tables, and what was done to each, by
        name.

    Raises:
        CheckpointError: naming a table over space whose patches make no
            square.
    """
    fitted, resized = dict(state_dict), {}
    for key, value in state_dict.items():
        layout = _layout(key)
        if layout is None or key not in target_shapes:
            continue
        *_, old, dims = value.shape
        *_, new, new_dims = target_shapes[key]
        if old == new or dims != new_dims:
            continue  # another width is for the strict loading to refuse
        axis, prefix = layout
        resize = _over_time if axis == 'time' else _over_space
        table = resize(key, value.reshape(1, old, dims).float(), new, prefix)
        fitted[key] = table.reshape(*value.shape[:-2], new, dims)
        how = 'linear' if axis == 'time' else 'bicubic, antialiased'
        resized[key] = f'{old} -> {new} over {axis}, {how}'
    return fitted, resized


def fit_spectrogram(state_dict: StateDict,
                    grid: Tuple[int, int]) -> StateDict:
    """Brings the positions of a spectrogram transformer to another length.

    A longer table is cropped around its middle in time, a shorter one
    interpolated, as its authors do. The two special tokens keep their
    positions.

    Args:
        state_dict: Tensors under this package's names.
        grid: Bands of mel bins and columns of patches that are wanted.

    Raises:
        CheckpointError: if the table is not one of ``grid[0]`` bands.
    """
    table = state_dict.get(SPECTROGRAM)
    rows, columns = grid
    if table is None or len(table) == 2 + rows * columns:
        return state_dict
    special, patches = table[:2], table[2:]
    # The length alone does not tell the bands: AST's own have 12.
    if rows != AST_BANDS or len(patches) % rows:
        raise CheckpointError(
            f'{SPECTROGRAM}: a table of {len(patches)} patches cannot be '
            f'brought to {rows} x {columns}. Positions are resized in time '
            f'only, between spectrograms of {AST_BANDS} bands (128 mel bins '
            'with stride 10)')
    patches = patches.unflatten(0, (rows, -1))  # (rows, old columns, D)
    old = patches.shape[1]
    if columns < old:
        start = old // 2 - columns // 2
        patches, how = patches[:, start:start + columns], 'cropped'
    else:
        patches = F.interpolate(
            patches.float().permute(2, 0, 1)[None], (rows, columns),
            mode='bilinear')[0].permute(1, 2, 0)
        how = 'interpolated'
    MMLogger.get_current_instance().info(
        f'{SPECTROGRAM}: {how} from {old} to {columns} columns in time')
    return {
        **state_dict, SPECTROGRAM:
        torch.cat([special, patches.flatten(0, 1).to(special.dtype)])
    }


def _layout(key: str):
    for pattern, layout in POSITION_TABLES:
        if re.fullmatch(pattern, key):
            return layout
    return None


def _over_time(key: str, table: Tensor, length: int, prefix: int) -> Tensor:
    return F.interpolate(
        table.transpose(1, 2), length, mode='linear').transpose(1, 2)


def _over_space(key: str, table: Tensor, length: int, prefix: int) -> Tensor:
    sides = []
    for count in (table.shape[1] - prefix, length - prefix):
        sides.append(math.isqrt(count))
        if sides[-1]**2 != count:
            raise CheckpointError(
                f'{key}: {count} patches make no square, so the table cannot '
                f'be resized from {table.shape[1]} to {length}')
    old, new = sides
    return resample_abs_pos_embed(
        table, [new, new], [old, old], num_prefix_tokens=prefix)
