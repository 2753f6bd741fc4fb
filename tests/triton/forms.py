"""Asks a server of the Open Inference Protocol over gRPC in looser forms than its clients write, and
prints a line of JSON for each: the form, and the status for good people and for people of whom one
is not.

Takes `HOST:PORT` and the model. It knows nothing of Tidegate.
"""

import json
import sys

import grpc
import numpy as np
from tritonclient.grpc import service_pb2 as pb

from client import COLUMNS, ROWS, SERVICE, ask, changed, infer, raw

OLD = [ROWS[0], (1986, 22.25, b"M", b"Government"), ROWS[2]]


def field(number, payload):
    """A field of protobuf that has a length."""
    return bytes([number << 3 | 2]) + varint(len(payload)) + payload


def varint(number):
    number &= (1 << 64) - 1
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def in_order(model, rows, order):
    """The request by hand, the fields of each tensor in this order."""
    out = field(1, model.encode())
    for place, (name, datatype, contents) in enumerate(COLUMNS):
        values = [row[place] for row in rows]
        held = pb.InferTensorContents(**{contents: values}).SerializeToString()
        parts = {"name": field(1, name.encode()), "datatype": field(2, datatype.encode()),
                 "shape": field(3, varint(len(rows)) + varint(1)), "contents": field(5, held)}
        out += field(5, b"".join(parts[part] for part in order))
    return out


def each(request, change):
    for tensor in request.inputs:
        change(tensor)
    return request


def ages(request, name, values):
    contents = request.inputs[0].contents
    contents.ClearField("int64_contents")
    getattr(contents, name).extend(values)
    return request


def reshaped(request, shape):
    def change(tensor):
        del tensor.shape[:]
        tensor.shape.extend(shape)
    return each(request, change)


def retyped(request, name, as_raw=None):
    request.inputs[0].datatype = name
    if as_raw is not None:
        request.raw_input_contents[0] = as_raw
    return request


def some_raw(model, rows):
    """The first two tensors raw, the others typed."""
    request = infer(model, "", rows)
    for place in (0, 1):
        request.inputs[place].ClearField("contents")
        request.raw_input_contents.append(raw(COLUMNS[place][1], [row[place] for row in rows]))
    return request


def raw_first(model, rows):
    whole = infer(model, "", rows, as_raw=True)
    head = pb.ModelInferRequest(raw_input_contents=whole.raw_input_contents)
    whole.ClearField("raw_input_contents")
    return head.SerializeToString() + whole.SerializeToString()


def unpacked(model, rows):
    """Numbers one by one instead of packed, as readers of protobuf must take them."""
    out = field(1, model.encode())
    for place, (name, datatype, contents) in enumerate(COLUMNS):
        values = [row[place] for row in rows]
        if datatype == "INT64":
            held = b"".join(b"\x18" + varint(value) for value in values)
        elif datatype == "FP64":
            held = b"".join(b"\x39" + np.float64(value).tobytes() for value in values)
        else:
            held = pb.InferTensorContents(**{contents: values}).SerializeToString()
        shape = b"\x18" + varint(len(rows)) + b"\x18" + varint(1)
        out += field(5, field(1, name.encode()) + field(2, datatype.encode()) + shape + field(5, held))
    return out


FORMS = {
    "as it is": lambda model, rows: infer(model, "", rows),
    "contents first": lambda model, rows: in_order(model, rows, ["contents", "name", "datatype", "shape"]),
    "contents in the middle": lambda model, rows: in_order(model, rows, ["name", "contents", "shape", "datatype"]),
    "shape last": lambda model, rows: in_order(model, rows, ["name", "datatype", "contents", "shape"]),
    "contents twice": lambda model, rows: in_order(model, rows, ["name", "datatype", "shape", "contents", "contents"]),
    "name twice": lambda model, rows: in_order(model, rows, ["name", "name", "datatype", "shape", "contents"]),
    "datatype twice": lambda model, rows: in_order(model, rows, ["datatype", "name", "datatype", "shape", "contents"]),
    "unpacked": unpacked,
    "raw contents first": raw_first,
    "some raw": some_raw,
    "shape -1, 1": lambda model, rows: reshaped(infer(model, "", rows), [-1, 1]),
    "shape -1": lambda model, rows: reshaped(infer(model, "", rows), [-1]),
    "shape 3, -1": lambda model, rows: reshaped(infer(model, "", rows), [3, -1]),
    "shape 3": lambda model, rows: reshaped(infer(model, "", rows), [3]),
    "raw, shape -1, 1": lambda model, rows: reshaped(infer(model, "", rows, as_raw=True), [-1, 1]),
    "raw, shape 3, -1": lambda model, rows: reshaped(infer(model, "", rows, as_raw=True), [3, -1]),
    "no shape": lambda model, rows: reshaped(infer(model, "", rows), []),
    "INT64 as int": lambda model, rows: ages(infer(model, "", rows), "int_contents", [row[0] for row in rows]),
    "INT64 as uint": lambda model, rows: ages(infer(model, "", rows), "uint_contents", [row[0] for row in rows]),
    "INT64 as uint64": lambda model, rows: ages(infer(model, "", rows), "uint64_contents", [row[0] for row in rows]),
    "INT64 as fp64": lambda model, rows: ages(infer(model, "", rows), "fp64_contents", [row[0] for row in rows]),
    "INT64 as fp32": lambda model, rows: ages(infer(model, "", rows), "fp32_contents", [row[0] for row in rows]),
    "INT64 as bool": lambda model, rows: ages(infer(model, "", rows), "bool_contents", [True, True, True]),
    "INT64 as bytes": lambda model, rows: ages(infer(model, "", rows), "bytes_contents", [str(row[0]).encode() for row in rows]),
    "two fields of contents": lambda model, rows: changed(infer(model, "", rows), lambda r: r.inputs[0].contents.int_contents.extend([1, 2, 3])),
    "two fields, an empty one": lambda model, rows: changed(infer(model, "", rows), lambda r: r.inputs[0].contents.fp32_contents.extend([])),
    "INT32": lambda model, rows: retyped(ages(infer(model, "", rows), "int_contents", [row[0] for row in rows]), "INT32"),
    "FP32 for INT64": lambda model, rows: retyped(ages(infer(model, "", rows), "fp32_contents", [row[0] for row in rows]), "FP32"),
    "FP16, raw": lambda model, rows: retyped(infer(model, "", rows, as_raw=True), "FP16", np.array([row[0] for row in rows], np.float16).tobytes()),
    "datatypes in small letters": lambda model, rows: each(infer(model, "", rows), lambda tensor: setattr(tensor, "datatype", tensor.datatype.lower())),
    "parameters": lambda model, rows: changed(each(infer(model, "", rows), lambda t: t.parameters["a"].CopyFrom(pb.InferParameter(string_param="b"))), lambda r: r.parameters["c"].CopyFrom(pb.InferParameter(bool_param=True))),
    "outputs": lambda model, rows: changed(infer(model, "", rows), lambda r: r.outputs.add(name="predict")),
    "unknown fields": lambda model, rows: infer(model, "", rows).SerializeToString() + field(15, b"abc") + b"\xf8\x01\x07",
    "one more input": lambda model, rows: changed(infer(model, "", rows), lambda r: r.inputs.add(name="more", datatype="INT64", shape=[3, 1]).contents.int64_contents.extend([1, 2, 3])),
    "a tensor twice": lambda model, rows: changed(infer(model, "", rows), lambda r: r.inputs.add().CopyFrom(r.inputs[0])),
    "a tensor twice, good last": lambda model, rows: changed(infer(model, "", rows), lambda r: r.inputs.add().CopyFrom(infer(model, "", ROWS).inputs[0])),
}


# What is refused although some server takes it, and why.
STRICTER = {
    "shape 3, -1": "what a row is would be known with the last value only",
    "raw, shape 3, -1": "the same, where texts are raw",
    "INT64 as bytes": "the contract asks for more than the server",
    "INT64 as bool": "the contract asks for more than the server",
    "one more input": "the contract asks for more than the server",
    "two fields of contents": "servers differ in which of two they take",
    "contents twice": "more values than the shape says",
    "a tensor twice": "servers differ in which of two they take",
    "a tensor twice, good last": "servers differ in which of two they take",
}


def main(address, model):
    with grpc.insecure_channel(address) as channel:
        for form, request in FORMS.items():
            statuses = [ask(channel, "ModelInfer", request(model, rows), None)[0].name for rows in (ROWS, OLD)]
            print(json.dumps({"form": form, "good": statuses[0], "bad": statuses[1], "stricter": STRICTER.get(form)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
