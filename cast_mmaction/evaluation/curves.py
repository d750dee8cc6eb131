"""What a training logged on its way."""
import json
from pathlib import Path
from typing import Dict, List, Tuple, Union

Curves = Dict[str, Tuple[List[float], List[float]]]
# Of the machine and the optimizer, not of what is learnt.
LEFT_OUT = ('base_lr', 'data_time', 'time', 'memory', 'epoch', 'iter', 'step')


def read_curves(work_dir: Union[str, Path]) -> Curves:
    """The values that a training logged, over its steps.

    Runs that went on in the same work dir are one training; where a part was
    done again, the later one counts.

    Args:
        work_dir (str or Path): Of ``tools/train.py``.

    Returns:
        dict: Name ('loss', 'lr', of a validation 'all/action_top1') to steps
        and values. The steps of validations are those that the training had
        reached.

    Raises:
        FileNotFoundError: If no training left its values there.
    """
    files = sorted(Path(work_dir).glob('[0-9]*_[0-9]*/vis_data/scalars.json'))
    found: Dict[str, Dict[int, float]] = {}
    for file in files:
        reached = 0
        for line in file.read_text().splitlines():
            values = json.loads(line)
            # Those of a validation have the epoch for their step.
            reached = values.get('iter', reached)
            for key, value in values.items():
                if key not in LEFT_OUT and isinstance(value, (int, float)):
                    found.setdefault(key, {})[reached] = value
    if 'loss' not in found:
        raise FileNotFoundError(f'{work_dir}: no training left its values '
                                'here; give the work dir of tools/train.py')
    return {
        key: (sorted(values), [values[step] for step in sorted(values)])
        for key, values in found.items()
    }
