"""LitServe with one model, `census`: who earns well, on loopback.

Takes the port. It knows nothing of Tidegate.
"""

import sys

import litserve


class Census(litserve.LitAPI):
    def setup(self, device):
        pass

    def decode_request(self, request):
        return [row["wage"] for row in request["rows"]]

    def predict(self, wages):
        return [{"predict": int(wage > 20), "score": wage / (1 + wage)} for wage in wages]

    def encode_response(self, output):
        return {"predictions": output}


if __name__ == "__main__":
    server = litserve.LitServer(Census(), accelerator="cpu", workers_per_device=1, timeout=30)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, generate_client_file=False, log_level="warning")
