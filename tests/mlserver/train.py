"""A small model for MLServer: whether people of a CSV file earn more than half of them.

Takes the CSV file and the folder to write. It knows nothing of Tidegate.
"""

import json
import pathlib
import sys

import joblib
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder
from sklearn.tree import DecisionTreeClassifier

INPUTS = {"age": "INT64", "wage": "FP64", "gender": "BYTES", "work": "BYTES"}


def main(data, out):
    rows = pd.read_csv(data)
    encode = ColumnTransformer(
        [("texts", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
          ["gender", "work"])], remainder="passthrough")
    model = Pipeline([("encode", encode), ("model", DecisionTreeClassifier(max_depth=4, random_state=1))])
    model.fit(rows[list(INPUTS)], (rows["wage"] > rows["wage"].median()).astype(int))
    out.mkdir(parents=True)
    joblib.dump(model, out / "model.joblib")
    inputs = [{"name": name, "datatype": datatype, "shape": [-1, 1],
               "parameters": {"content_type": "str" if datatype == "BYTES" else "np"}}
              for name, datatype in INPUTS.items()]
    settings = {"name": "census", "implementation": "mlserver_sklearn.SKLearnModel",
                "inputs": inputs,
                "parameters": {"version": "v1", "uri": "./model.joblib", "content_type": "pd"}}
    (out / "model-settings.json").write_text(json.dumps(settings))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
