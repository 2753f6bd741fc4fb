"""A llama.cpp server that speaks OpenAI's protocol, on loopback.

Takes the GGUF file and the port. It knows nothing of Tidegate.
"""

import signal
import sys

import xllamacpp


def main(model, port):
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {"small"}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = 2048
    params.n_parallel = 2
    params.n_predict = 16
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.cpuparams.n_threads = 1
    params.n_threads_http = 2
    params.warmup = False
    server = xllamacpp.Server(params)
    print("listening at", server.listening_address, flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main(sys.argv[1], int(sys.argv[2]))
