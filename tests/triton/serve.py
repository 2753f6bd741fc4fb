"""Triton with four models, on loopback: `census` says who earns well, `echo` gives back what it
gets in every datatype that its Python side has, `plain` the same without FP16, which has no JSON
form there, and `single` has one input, so that a body may be nothing but its bytes.

Takes the HTTP port and the gRPC port. It knows nothing of Tidegate.
"""

import sys

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

ECHOED = [np.bool_, np.uint8, np.uint16, np.uint32, np.uint64, np.int8, np.int16, np.int32, np.int64,
          np.float16, np.float32, np.float64, np.bytes_]


@batch
def census(age, wage, gender, work):
    score = wage / (1.0 + wage) + age * 0.001
    label = np.where(gender == b"F", b"she: ", b"he: ").astype(object) + work
    return {"predict": (wage > 20.0).astype(np.int64), "score": score, "label": label}


@batch
def echo(**tensors):
    return {"same_" + name: tensor for name, tensor in tensors.items()}


def main(http, grpc):
    config = TritonConfig(http_address="127.0.0.1", http_port=http, grpc_address="127.0.0.1",
                          grpc_port=grpc, allow_metrics=False, exit_on_error=True)
    one = {"shape": (1,)}
    kinds = [(np.dtype(kind).name + "s", kind) for kind in ECHOED]
    with Triton(config=config) as triton:
        triton.bind(
            model_name="census", infer_func=census,
            inputs=[Tensor(name="age", dtype=np.int64, **one), Tensor(name="wage", dtype=np.float64, **one),
                    Tensor(name="gender", dtype=np.bytes_, **one), Tensor(name="work", dtype=np.bytes_, **one)],
            outputs=[Tensor(name="predict", dtype=np.int64, **one), Tensor(name="score", dtype=np.float64, **one),
                     Tensor(name="label", dtype=np.bytes_, **one)],
            config=ModelConfig(max_batch_size=128))
        for name, kept in (("echo", kinds), ("plain", [kind for kind in kinds if kind[1] is not np.float16]),
                           ("single", [("values", np.float32)])):
            triton.bind(
                model_name=name, infer_func=echo,
                inputs=[Tensor(name=name, dtype=kind, shape=(-1,)) for name, kind in kept],
                outputs=[Tensor(name="same_" + name, dtype=kind, shape=(-1,)) for name, kind in kept],
                config=ModelConfig(max_batch_size=128))
        triton.serve()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
