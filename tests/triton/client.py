"""Asks a server of the Open Inference Protocol over gRPC by Triton's client library, and prints a line
of JSON for each call: what was asked, the status, the words, and what came back.

Takes `HOST:PORT`, the model and one of its versions. It knows nothing of Tidegate.
"""

import json
import sys

import grpc
import numpy as np
from tritonclient.grpc import service_pb2 as pb

ROWS = [(30, 10.5, b"F", b"Private"), (41, 22.25, b"M", b"Government"), (58, 48.0, b"F", b"Self-employed")]
COLUMNS = [("age", "INT64", "int64_contents"), ("wage", "FP64", "fp64_contents"),
           ("gender", "BYTES", "bytes_contents"), ("work", "BYTES", "bytes_contents")]
SERVICE = "/inference.GRPCInferenceService/"


def raw(datatype, values):
    if datatype == "BYTES":
        return b"".join(len(value).to_bytes(4, "little") + value for value in values)
    return np.array(values, np.int64 if datatype == "INT64" else np.float64).tobytes()


def infer(model, ident, rows=ROWS, as_raw=False, **fields):
    request = pb.ModelInferRequest(model_name=model, id=ident, **fields)
    for place, (name, datatype, field) in enumerate(COLUMNS):
        values = [row[place] for row in rows]
        tensor = request.inputs.add(name=name, datatype=datatype, shape=[len(rows), 1])
        if as_raw:
            request.raw_input_contents.append(raw(datatype, values))
        else:
            getattr(tensor.contents, field).extend(values)
    return request


def changed(request, change):
    change(request)
    return request


def calls(model, version):
    """What is asked: a name, the method, the request as bytes or a message, the compression."""
    yield "live", "ServerLive", pb.ServerLiveRequest(), None
    yield "ready", "ServerReady", pb.ServerReadyRequest(), None
    yield "model ready", "ModelReady", pb.ModelReadyRequest(name=model), None
    yield "server metadata", "ServerMetadata", pb.ServerMetadataRequest(), None
    yield "model metadata", "ModelMetadata", pb.ModelMetadataRequest(name=model), None
    yield "typed", "ModelInfer", infer(model, "typed"), None
    yield "raw", "ModelInfer", infer(model, "raw", as_raw=True), None
    yield "many", "ModelInfer", infer(model, "many", ROWS * 40, as_raw=True), None
    yield "version", "ModelInfer", infer(model, "version", model_version=version), None
    yield "gzip", "ModelInfer", infer(model, "gzip"), grpc.Compression.Gzip
    yield "deflate", "ModelInfer", infer(model, "deflate", as_raw=True), grpc.Compression.Deflate
    # Bad for a contract of people, whatever the server says.
    yield "old", "ModelInfer", infer(model, "old", [(1986, 10.5, b"F", b"Private")]), None
    yield "old raw", "ModelInfer", infer(model, "old raw", [(1986, 10.5, b"F", b"Private")], True), None
    yield "nobody", "ModelInfer", infer(model, "nobody", [(30, 10.5, b"X", b"Private")]), None
    yield "missing", "ModelInfer", changed(infer(model, "missing"), lambda r: r.inputs.pop()), None
    # The server's own errors.
    yield "both", "ModelInfer", changed(infer(model, "both", as_raw=True), lambda r: r.inputs[0].contents.int64_contents.extend([1, 2, 3])), None
    yield "short", "ModelInfer", changed(infer(model, "short", as_raw=True), lambda r: r.raw_input_contents.__setitem__(0, b"\0" * 23)), None
    yield "few", "ModelInfer", changed(infer(model, "few"), lambda r: r.inputs[0].contents.int64_contents.pop()), None
    yield "datatype", "ModelInfer", changed(infer(model, "datatype"), lambda r: setattr(r.inputs[0], "datatype", "FOO")), None
    yield "length", "ModelInfer", changed(infer(model, "length", as_raw=True), lambda r: r.raw_input_contents.__setitem__(2, b"\xff\xff\xff\x7fF")), None
    yield "no such model", "ModelInfer", infer("no-such-model", "no such model"), None
    yield "no such version", "ModelInfer", infer(model, "no such version", model_version="9"), None
    yield "no message", "ModelInfer", b"\x0a\xff\xff", None
    yield "empty", "ModelInfer", b"", None
    yield "no such method", "Nothing", b"", None


def ask(channel, method, message, compression):
    call = channel.unary_unary(SERVICE + method, request_serializer=bytes, response_deserializer=bytes)
    body = message if isinstance(message, bytes) else message.SerializeToString()
    try:
        answer, done = call.with_call(body, timeout=60, compression=compression)
        return done.code(), done.details(), answer, done.trailing_metadata()
    except grpc.RpcError as error:
        return error.code(), error.details(), b"", error.trailing_metadata()


def stream(channel, messages):
    call = channel.stream_stream(SERVICE + "ModelStreamInfer", request_serializer=bytes, response_deserializer=bytes)
    answers = []
    try:
        sent = call(iter([message.SerializeToString() for message in messages]), timeout=60)
        answers.extend(sent)
        return sent.code(), sent.details(), b"|".join(answers), sent.trailing_metadata()
    except grpc.RpcError as error:
        return error.code(), error.details(), b"|".join(answers), error.trailing_metadata()


def tell(name, status, words, answer, trailers):
    """A proxy puts its own headers into an answer that is nothing but trailers."""
    own = ("date", "server", "x-envoy-upstream-service-time")
    shown = sorted((key, value) for key, value in trailers or () if key not in own)
    print(json.dumps({"call": name, "status": status.name, "words": words, "answer": answer.hex(), "trailers": shown}))


def main(address, model, version):
    with grpc.insecure_channel(address) as channel:
        for name, method, message, compression in calls(model, version):
            tell(name, *ask(channel, method, message, compression))
        tell("stream", *stream(channel, [infer(model, "first"), infer(model, "second", as_raw=True)]))


if __name__ == "__main__":
    main(*sys.argv[1:])
