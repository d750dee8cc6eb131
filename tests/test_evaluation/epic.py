"""The official validation rows and the made-up scores of the golden case."""
import csv

import numpy as np


def read_column(path, column, kind=int):
    with open(path) as file:
        return [kind(row[column]) for row in csv.DictReader(file)]


def golden_case(shared):
    """Keyword arguments of `verb_noun_accuracy` and narration ids."""
    folder = shared / 'epic100'
    rows = folder / 'EPIC_100_validation.csv'
    verbs = np.array(read_column(rows, 'verb_class'))
    nouns = np.array(read_column(rows, 'noun_class'))
    rng = np.random.RandomState(5)
    verb_scores = rng.standard_normal((len(verbs), 97))
    noun_scores = rng.standard_normal((len(nouns), 300))
    verb_scores[np.arange(len(verbs)), verbs] += 2.6
    noun_scores[np.arange(len(nouns)), nouns] += 2.9
    unseen = read_column(
        folder / 'EPIC_100_unseen_participant_ids_validation.csv',
        'participant_id', str)
    participants = read_column(rows, 'participant_id', str)
    arguments = dict(
        verb_scores=verb_scores.astype(np.float32),
        noun_scores=noun_scores.astype(np.float32),
        verbs=verbs,
        nouns=nouns,
        tail_verbs=read_column(folder / 'EPIC_100_tail_verbs.csv', 'verb'),
        tail_nouns=read_column(folder / 'EPIC_100_tail_nouns.csv', 'noun'),
        unseen=np.isin(participants, unseen))
    return arguments, read_column(rows, 'narration_id', str)
