"""A TorchServe handler: who earns well. It knows nothing of Tidegate."""

import json


class Census:
    def initialize(self, context):
        self.manifest = context.manifest

    def handle(self, data, context):
        """TorchServe batches requests: one answer for each."""
        return [self.answer(request.get("body", request.get("data"))) for request in data]

    def answer(self, body):
        if isinstance(body, (bytes, bytearray)):
            body = json.loads(body)
        return {"predictions": [{"predict": int(row["wage"] > 20), "score": row["wage"] / (1 + row["wage"])}
                                for row in body["rows"]]}


_service = Census()


def handle(data, context):
    if not hasattr(_service, "manifest"):
        _service.initialize(context)
    return _service.handle(data, context) if data is not None else None
