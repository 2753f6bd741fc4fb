"""AUROC of PyOD's ECOD and scikit-learn's Isolation Forest on the splits of
bench/src/labelled.rs. Prints a line of JSON for each set and peer. It does not know our figures.

Usage: outliers.py FOLDER_OF_PARQUET SHUTTLE_CSV_GZ
Needs: pyod, scikit-learn, pandas, pyarrow.
"""

import json
import pathlib
import sys

import numpy as np
import pandas as pd
from pyod.models.ecod import ECOD
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

SPLITS = 5
WORD = (1 << 64) - 1


def split(count, seed):
    """The order that `Random::choose_first` of the detectors gives for this seed."""
    state, order = seed, list(range(count))
    for place in range(count):
        state = (state + 0x9E3779B97F4A7C15) & WORD
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & WORD
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & WORD
        drawn = place + (((mixed ^ (mixed >> 31)) * (count - place)) >> 64)
        order[place], order[drawn] = order[drawn], order[place]
    fit = count * 7 // 10
    return order[:fit], order[fit:]


def ecod(fit, test, _seed):
    model = ECOD()
    model.fit(fit)
    return model.decision_function(test)


def forest(fit, test, seed):
    return -IsolationForest(random_state=seed).fit(fit).score_samples(test)


def sets(folder, shuttle):
    for path in sorted(pathlib.Path(folder).glob("*.parquet")):
        table = pd.read_parquet(path)
        yield path.stem, table.drop(columns="outlier"), table["outlier"]
    if pathlib.Path(shuttle).exists():
        table = pd.read_csv(shuttle)
        yield "shuttle", table.drop(columns="anomaly"), table["anomaly"]


for name, rows, label in sets(*sys.argv[1:]):
    rows, label = rows.to_numpy(dtype=float), label.to_numpy()
    for peer, score in (("pyod", ecod), ("scikit-learn", forest)):
        areas = []
        for seed in range(SPLITS):
            fit, test = split(len(rows), seed)
            areas.append(roc_auc_score(label[test], score(rows[fit], rows[test], seed)))
        print(json.dumps({"set": name, "peer": peer, "auroc": float(np.mean(areas))}), flush=True)
