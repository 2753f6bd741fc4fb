"""KServe's own server with one model, `census`: who earns well. It answers its first protocol (rows
as lists, as objects, or columns), its second over REST and gRPC, and CloudEvents, on loopback.

Takes the HTTP port and the gRPC port. It knows nothing of Tidegate.
"""

import sys

http, grpc = int(sys.argv[1]), int(sys.argv[2])
# KServe reads the command line itself while it is imported.
sys.argv[1:] = []

import numpy as np
import pandas as pd
import uvicorn
from grpc import aio
from kserve import InferRequest, Model, ModelServer
from kserve.errors import InvalidInput
from kserve.utils.utils import get_predict_response

NAMES = ["age", "wage", "gender", "work"]


def only_loopback():
    """Both of its listeners bind every interface and offer no choice."""
    config, server = uvicorn.Config, aio.server

    def config_on_loopback(app, **options):
        return config(app, **{**options, "host": "127.0.0.1"})

    def server_on_loopback(*arguments, **options):
        made = server(*arguments, **options)
        bind = made.add_insecure_port
        made.add_insecure_port = lambda address: bind(address.replace("[::]", "127.0.0.1"))
        return made

    uvicorn.Config, aio.server = config_on_loopback, server_on_loopback


def rows_of(payload):
    if "instances" in payload:
        return [list(map(row.get, NAMES)) if isinstance(row, dict) else row for row in payload["instances"]]
    if "inputs" in payload:
        return list(zip(*(payload["inputs"][name] for name in NAMES)))
    raise InvalidInput("neither instances nor inputs")


class Census(Model):
    def load(self):
        self.ready = True
        return True

    def get_input_types(self):
        kinds = ["INT64", "FP64", "BYTES", "BYTES"]
        return [{"name": name, "datatype": kind, "shape": [-1, 1]} for name, kind in zip(NAMES, kinds)]

    def get_output_types(self):
        return [{"name": "predict", "datatype": "INT64", "shape": [-1]},
                {"name": "score", "datatype": "FP64", "shape": [-1]}]

    async def predict(self, payload, headers=None, response_headers=None):
        if not isinstance(payload, InferRequest):
            return {"predictions": [{"predict": int(wage > 20), "score": wage / (1 + wage)}
                                    for _, wage, _, _ in rows_of(payload)]}
        wage = payload.get_input_by_name("wage")
        if wage is None:
            raise InvalidInput("no input wage")
        wage = wage.as_numpy().astype(np.float64).reshape(-1)
        # Answered as KServe's own runtimes answer a table.
        table = pd.DataFrame({"predict": (wage > 20).astype(np.int64), "score": wage / (1 + wage)})
        return get_predict_response(payload, table, self.name)


if __name__ == "__main__":
    only_loopback()
    model = Census("census")
    model.load()
    ModelServer(http_port=http, grpc_port=grpc, max_asyncio_workers=1).start([model])
