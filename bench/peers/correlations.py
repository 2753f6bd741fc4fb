"""Correlations of pandas: the matrices of small tables with missing values and ties, a line of JSON
each with the table, so that ours can be given the very same; and how fast it is on a large one. It
does not know our figures.

Needs: pandas, scipy.
"""

import json
import time

import numpy as np
import pandas as pd


def tables():
    for seed in range(4):
        random = np.random.default_rng(seed)
        common = random.normal(size=(400, 1))
        values = common + random.normal(size=(400, 6))
        values[:, 1] = np.exp(values[:, 1])
        values[:, 2] = np.floor(values[:, 2] * 2)
        values[:, 3] = values[:, 3] * 1e6 + 1e7
        values[random.random(values.shape) < 0.05] = np.nan
        yield values


def cells(matrix):
    return [[None if np.isnan(cell) else float(cell) for cell in row] for row in np.asarray(matrix)]


for values in tables():
    frame = pd.DataFrame(values)
    print(json.dumps({
        "rows": cells(values),
        "pearson": cells(frame.corr()),
        "spearman": cells(frame.corr("spearman")),
    }))

large = pd.DataFrame(np.random.default_rng(9).normal(size=(200_000, 20)))
large.corr()
begun = time.process_time()
large.corr()
print(json.dumps({"rate": len(large) / (time.process_time() - begun)}))
