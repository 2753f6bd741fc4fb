"""Two versions of a census model, and the traffic they will meet, from Census-Income (KDD).

Rows of 1994 train, rows of 1995 are production. Writes into the folder given: `train.csv` (the
model's inputs, for `tidegate profile`), `stable.jsonl` and `drifted.jsonl` (production rows, one a
line), `models/{v1,v2}` for MLServer, and `training.json` with what was measured.
It knows nothing of Tidegate.
"""

import csv
import json
import pathlib
import sys

import joblib
import numpy as np
import pandas as pd
from scipy.stats import ks_2samp
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

# Position in the files, which have no header. Columns whose meaning changed between the two years
# (employment status, migration codes) are left out.
NUMBERS = {
    "age": 0,
    "wage_per_hour": 5,
    "capital_gains": 16,
    "capital_losses": 17,
    "dividends": 18,
    "employer_size": 30,
    "weeks_worked": 39,
}
CATEGORIES = {
    "class_of_worker": 1,
    "education": 4,
    "marital_status": 7,
    "major_industry": 8,
    "major_occupation": 9,
    "sex": 12,
}
INPUTS = sorted(NUMBERS | CATEGORIES, key=(NUMBERS | CATEGORIES).get)
YEAR, LABEL = 40, 41
OTHER_WORK = ["Self-employed-not incorporated", "Self-employed-incorporated", "Federal government",
              "State government", "Local government"]
SEED = 20
STABLE_ROWS = 12_000


def read(folder):
    files = [folder / f"census_income_1994_1995_{part}.csv" for part in ("train", "test")]
    places = NUMBERS | CATEGORIES | {"year": YEAR, "label": LABEL}
    frames = [
        pd.read_csv(f, header=None, skipinitialspace=True, usecols=list(places.values())).rename(
            columns={place: name for name, place in places.items()})
        for f in files
    ]
    rows = pd.concat(frames, ignore_index=True)
    for name in CATEGORIES:
        # One category ends with a blank; as text it would be another one for whoever trims.
        rows[name] = rows[name].str.strip()
    rows["label"] = rows["label"].str.startswith("50000+").astype(int)
    return rows[rows["year"] == 94], rows[rows["year"] == 95]


def boosted(**settings):
    encode = ColumnTransformer([
        ("categories", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1,
                                      dtype=np.float32), list(CATEGORIES)),
        ("numbers", "passthrough", list(NUMBERS)),
    ])
    model = HistGradientBoostingClassifier(
        random_state=SEED, categorical_features=list(range(len(CATEGORIES))), **settings)
    return Pipeline([("encode", encode), ("model", model)])


def v1():
    """The better one on the population as it is."""
    return boosted(max_iter=60, learning_rate=0.15)


def v2():
    """The fallback: smoother, and trained with weights for the people that v1 knows least."""
    return boosted(max_iter=150, learning_rate=0.05, l2_regularization=5.0, max_leaf_nodes=15)


def weights(rows):
    """Older people and other work classes count more for the fallback."""
    shifted = (rows["age"] >= 50) | rows["class_of_worker"].isin(OTHER_WORK)
    return np.where(shifted, 4.0, 1.0)


def measure(model, rows):
    scores = model.predict_proba(rows[INPUTS])[:, 1]
    return {"accuracy": round(float(accuracy_score(rows["label"], scores > 0.5)), 4),
            "auc": round(float(roc_auc_score(rows["label"], scores)), 4)}


def distances(reference, rows):
    """Largest gap of the distribution functions for numbers, total variation for categories."""
    found = {name: ks_2samp(reference[name], rows[name], method="asymp").statistic
             for name in NUMBERS}
    for name in CATEGORIES:
        p, q = (part[name].value_counts(normalize=True) for part in (reference, rows))
        found[name] = p.subtract(q, fill_value=0).abs().sum() / 2
    return {name: round(float(found[name]), 4) for name in INPUTS}


def settings(version):
    declared = [{"name": name, "datatype": "INT64" if name in NUMBERS else "BYTES",
                 "shape": [-1, 1],
                 "parameters": {"content_type": "np" if name in NUMBERS else "str"}}
                for name in INPUTS]
    return {"name": "census", "implementation": "mlserver_sklearn.SKLearnModel",
            "platform": "sklearn", "inputs": declared,
            "outputs": [{"name": "predict", "datatype": "INT64", "shape": [-1, 1]}],
            "parameters": {"version": version, "uri": "./model.joblib", "content_type": "pd"}}


def write_rows(path, rows):
    with open(path, "w", encoding="utf-8") as out:
        for row in rows[INPUTS].to_dict("records"):
            out.write(json.dumps(row) + "\n")


def main(data, out):
    train, production = read(data)
    shifted = production[(production["age"] >= 55)
                         & production["class_of_worker"].isin(OTHER_WORK)]
    stable = production.sample(STABLE_ROWS, random_state=SEED)
    drifted = shifted.sample(frac=1, random_state=SEED)

    out.mkdir(parents=True, exist_ok=True)
    train[INPUTS].to_csv(out / "train.csv", index=False, quoting=csv.QUOTE_MINIMAL)
    write_rows(out / "stable.jsonl", stable)
    write_rows(out / "drifted.jsonl", drifted)

    declared = [{"name": name, "datatype": "INT64" if name in NUMBERS else "BYTES"}
                for name in INPUTS]
    report = {"inputs": declared, "train_rows": len(train), "production_rows": len(production),
              "shifted_rows": len(shifted),
              "distances": {"stable": distances(train, stable),
                            "drifted": distances(train, drifted)}, "versions": {}}
    for version, model in {"v1": v1(), "v2": v2()}.items():
        counts = {"model__sample_weight": weights(train)} if version == "v2" else {}
        model.fit(train[INPUTS], train["label"], **counts)
        folder = out / "models" / version
        folder.mkdir(parents=True, exist_ok=True)
        joblib.dump(model, folder / "model.joblib")
        (folder / "model-settings.json").write_text(json.dumps(settings(version), indent=2))
        (folder / "settings.json").write_text(json.dumps(
            {"host": "127.0.0.1", "parallel_workers": 0, "debug": False}, indent=2))
        report["versions"][version] = {"stable": measure(model, production),
                                       "drifted": measure(model, shifted)}
        print(f"{version}: {report['versions'][version]}", flush=True)
    (out / "training.json").write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
