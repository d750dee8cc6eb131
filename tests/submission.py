"""What a leaderboard sees of a submission."""
import json
import zipfile

import numpy as np

from cast_mmaction.evaluation.predictions import TASKS, Predictions


def read_submission(path) -> Predictions:
    """The scores in the zip that ``make_submission.py`` writes."""
    with zipfile.ZipFile(path) as file:
        results = json.loads(file.read('test.json'))['results']
    scores = {
        task: np.array([[row[task][str(i)] for i in range(len(row[task]))]
                        for row in results.values()])
        for task in TASKS
    }
    return Predictions(
        list(results), unreadable=np.zeros(len(results), bool), **scores)
