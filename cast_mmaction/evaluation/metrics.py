"""Metrics for the runner. A video that could not be read counts as wrong."""
import logging
from typing import Any, Dict, List, Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmaction.evaluation import AccMetric
from mmaction.registry import METRICS
from .predictions import TASKS, from_probabilities, score


def warn_unreadable(count: int, total: int) -> None:
    """Say how many samples were counted as wrong."""
    if count:
        print_log(
            f'{count} of {total} videos could not be read and are counted '
            'as wrong',
            logger='current',
            level=logging.WARNING)


def sound_figures(results: Sequence[Dict]) -> Dict[str, float]:
    """``missing_sound``: per cent of the samples that came without sound.

    Args:
        results (Sequence[dict]): With the reason under ``missing_sound``;
            None where sound was not asked for, empty where it is there.

    Returns:
        dict[str, float]: Empty if no sample was to have sound.
    """
    reasons = [x.get('missing_sound') for x in results]
    if set(reasons) == {None}:
        return {}
    missing = sum(map(bool, reasons))
    if missing:
        print_log(
            f'{missing} of {len(reasons)} samples have no sound',
            logger='current',
            level=logging.WARNING)
    return dict(missing_sound=100 * missing / len(reasons))


@METRICS.register_module()
class ClipAccuracy(AccMetric):
    """MMAction2's ``AccMetric`` that counts unreadable videos as wrong.

    Of samples with sound it also gives the share of those where it is
    missing, per cent.

    Args:
        **kwargs: See ``mmaction.evaluation.AccMetric``.
    """

    def process(self, data_batch: Any, data_samples: Sequence[Dict]) -> None:
        """Store scores and labels; no score of an unreadable one is right."""
        before = len(self.results)
        super().process(data_batch, data_samples)
        for sample, result in zip(data_samples, self.results[before:]):
            result['unreadable'] = sample.get('unreadable', False)
            result['missing_sound'] = sample.get('missing_sound')

    def compute_metrics(self, results: List[Dict]) -> Dict:
        """See ``AccMetric``; logs how many videos were unreadable."""
        unreadable = [result for result in results if result['unreadable']]
        warn_unreadable(len(unreadable), len(results))
        for result in unreadable:
            # The truth gets the lowest score: last place among the classes.
            result['pred'] = result['pred'].copy()
            result['pred'][result['label']] = -np.inf
        return {**super().compute_metrics(results), **sound_figures(results)}


@METRICS.register_module()
class VerbNounMetric(BaseMetric):
    """The twelve figures of EPIC-KITCHENS-100, in per cent.

    Keys as ``all/action_top1``; see `verb_noun_accuracy`. Tail classes and
    unseen participants come from the data set (its ``metainfo``); without
    them only the ``all/`` figures appear. ``all/harmonic_mean`` is that of
    verb and noun top-1: the balance of the two. Of samples with sound,
    ``all/missing_sound`` is the share of those where it is missing.

    Samples without labels (test split) give no figures: dump the predictions
    and make a submission.

    Args:
        collect_device (str): ``'cpu'`` or ``'gpu'``. Defaults to ``'cpu'``.
        prefix (str, optional): Put before the keys. Defaults to None.

    Raises:
        ValueError: If scores are not finite; the narrations are named.
    """
    default_prefix = ''

    def process(self, data_batch: Any, data_samples: Sequence[Dict]) -> None:
        """Store named scores and labels."""
        for sample in data_samples:
            result = dict(
                narration_id=sample['narration_id'],
                unreadable=sample.get('unreadable', False),
                missing_sound=sample.get('missing_sound'))
            for task in TASKS:
                scores = sample['pred_score'][task]
                result[f'{task}_scores'] = scores.float().cpu().numpy()
                if f'gt_{task}' in sample:
                    result[task] = int(sample[f'gt_{task}'])
            self.results.append(result)

    def compute_metrics(self, results: List[Dict]) -> Dict[str, float]:
        """The figures of all samples.

        Args:
            results (list[dict]): From all processes, in order.
        """
        # A sample that two processes got to fill their batches counts once.
        results = list({r['narration_id']: r for r in results}.values())
        warn_unreadable(sum(r['unreadable'] for r in results), len(results))
        predictions = from_probabilities(
            'predictions', [r['narration_id'] for r in results],
            {task: [r[f'{task}_scores'] for r in results]
             for task in TASKS}, [r['unreadable'] for r in results])
        labels = {
            r['narration_id']: (r['verb'], r['noun'])
            for r in results if 'verb' in r and 'noun' in r
        }
        if not labels:
            print_log('no sample has labels: nothing to score', 'current')
            return {}
        for result in results:
            if result['narration_id'] not in labels:
                raise ValueError(
                    f'{len(results) - len(labels)} of {len(results)} '
                    f'narrations have no labels, first '
                    f'{result["narration_id"]}')
        figures = score(predictions, labels, self.dataset_meta or {})
        figures.update(
            (f'all/{key}', x) for key, x in sound_figures(results).items())
        # First, because save_best='auto' goes by the first figure.
        return {'all/action_top1': figures.pop('all/action_top1'), **figures}
