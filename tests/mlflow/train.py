"""A small model for MLflow, with a signature: whether people earn more than 20 an hour.

Takes the folder to write. It knows nothing of Tidegate.
"""

import sys

import mlflow
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema


class Census(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        wage = model_input["wage"]
        return pd.DataFrame({"predict": (wage > 20).astype("int64"), "score": wage / (1 + wage)})


def main(out):
    signature = ModelSignature(
        inputs=Schema([ColSpec(DataType.long, "age"), ColSpec(DataType.double, "wage"),
                       ColSpec(DataType.string, "gender"), ColSpec(DataType.string, "work")]),
        outputs=Schema([ColSpec(DataType.long, "predict"), ColSpec(DataType.double, "score")]))
    mlflow.pyfunc.save_model(out, python_model=Census(), signature=signature, pip_requirements=["mlflow"])


if __name__ == "__main__":
    main(sys.argv[1])
