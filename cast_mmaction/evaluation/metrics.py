"""Metrics for the runner. A video that could not be read counts as wrong."""
import logging
from typing import Any, Dict, List, Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmaction.evaluation import AccMetric
from mmaction.registry import METRICS
from .verb_noun import harmonic_mean, log_probabilities, verb_noun_accuracy


def warn_unreadable(count: int, total: int) -> None:
    """Say how many samples were counted as wrong."""
    if count:
        print_log(
            f'{count} of {total} videos could not be read and are counted '
            'as wrong',
            logger='current',
            level=logging.WARNING)


@METRICS.register_module()
class ClipAccuracy(AccMetric):
    """MMAction2's ``AccMetric`` that counts unreadable videos as wrong.

    Args:
        **kwargs: See ``mmaction.evaluation.AccMetric``.
    """

    def process(self, data_batch: Any, data_samples: Sequence[Dict]) -> None:
        """Store scores and labels; no score of an unreadable one is right."""
        before = len(self.results)
        super().process(data_batch, data_samples)
        for sample, result in zip(data_samples, self.results[before:]):
            result['unreadable'] = sample.get('unreadable', False)

    def compute_metrics(self, results: List[Dict]) -> Dict:
        """See ``AccMetric``; logs how many videos were unreadable."""
        unreadable = [result for result in results if result['unreadable']]
        warn_unreadable(len(unreadable), len(results))
        for result in unreadable:
            # The truth gets the lowest score: last place among the classes.
            result['pred'] = result['pred'].copy()
            result['pred'][result['label']] = -np.inf
        return super().compute_metrics(results)


@METRICS.register_module()
class VerbNounMetric(BaseMetric):
    """The twelve figures of EPIC-KITCHENS-100, in per cent.

    Keys as ``all/action_top1``; see `verb_noun_accuracy`. Tail classes and
    unseen participants come from the data set (its ``metainfo``); without
    them only the ``all/`` figures appear. ``all/harmonic_mean`` is that of
    verb and noun top-1: the balance of the two.

    Samples without labels (test split) give no figures: dump the predictions
    and make a submission.

    Args:
        collect_device (str): ``'cpu'`` or ``'gpu'``. Defaults to ``'cpu'``.
        prefix (str, optional): Put before the keys. Defaults to None.

    Raises:
        ValueError: If scores are not finite; the narrations are named.
    """

    def process(self, data_batch: Any, data_samples: Sequence[Dict]) -> None:
        """Store named scores and labels."""
        for sample in data_samples:
            result = dict(
                narration_id=sample['narration_id'],
                unreadable=sample.get('unreadable', False))
            for task in ('verb', 'noun'):
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
        return score_results(results, self.dataset_meta or {})


def score_results(results: Sequence[Dict],
                  meta: Dict,
                  scores_are_probabilities: bool = True) -> Dict[str, float]:
    """`verb_noun_accuracy` of a list of samples, with bad samples named.

    Args:
        results (Sequence[dict]): Each with ``narration_id``, ``verb_scores``
            (V, ), ``noun_scores`` (M, ), and optionally ``verb``, ``noun``
            (int) and ``unreadable`` (bool).
        meta (dict): Optionally ``tail_verbs``, ``tail_nouns`` and
            ``unseen_participants``.
        scores_are_probabilities (bool): Else logits or their like. Defaults
            to True.

    Returns:
        dict[str, float]: The figures and ``all/harmonic_mean``; nothing if
        no sample has labels.
    """
    arrays = {}
    for task in ('verb', 'noun'):
        scores = np.stack([result[f'{task}_scores'] for result in results])
        bad = ~np.isfinite(scores).all(axis=1)
        if bad.any():
            names = [results[row]['narration_id'] for row in
                     np.flatnonzero(bad)]
            raise ValueError(f'{task} scores of {len(names)} narrations are '
                             f'NaN or infinite: {", ".join(names[:10])}')
        arrays[f'{task}_scores'] = (
            log_probabilities(scores) if scores_are_probabilities else scores)
    unlabelled = [r for r in results if 'verb' not in r or 'noun' not in r]
    if len(unlabelled) == len(results):
        print_log('the samples have no labels: nothing to score', 'current')
        return {}
    if unlabelled:
        raise ValueError(f'{len(unlabelled)} of {len(results)} narrations '
                         'have no labels, first '
                         f'{unlabelled[0]["narration_id"]}')
    unseen = meta.get('unseen_participants')
    if unseen is not None:
        unseen = np.array(
            [r['narration_id'].split('_')[0] in unseen for r in results])
    figures = verb_noun_accuracy(
        **arrays,
        verbs=np.array([result['verb'] for result in results]),
        nouns=np.array([result['noun'] for result in results]),
        tail_verbs=meta.get('tail_verbs'),
        tail_nouns=meta.get('tail_nouns'),
        unseen=unseen,
        wrong=np.array([r.get('unreadable', False) for r in results]))
    figures['all/harmonic_mean'] = harmonic_mean(figures['all/verb_top1'],
                                                 figures['all/noun_top1'])
    return figures
