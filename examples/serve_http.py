"""
Serving a model over HTTP
=========================

Several processes answer requests for predictions on one port. All of them load the same file and map it into memory,
so the system keeps only one copy of the weights. Each process makes a predictor of the whole pipeline once, and uses
it in one thread per connection.

Then a load test sends requests. The program prints requests per second, latencies, and the private memory of each
process. Apart from the model, it needs only Python's standard library:

    python examples/serve_http.py [--processes 4] [--clients 8] [--requests 4000] [--bits 20] [--no-mmap]
"""

import argparse
import contextlib
import http.client
import json
import multiprocessing
import os
import random
import socket
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.pipeline import make_pipeline

import sklearn_vectorflow
from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.serving import make_predictor

# %%
# A model
# -------
#
# The model is a net with 16 hidden units on words hashed to ``2 ** bits`` columns. ``keep_state=False`` leaves out
# the optimizer's state, which only training needs.


def draw_text(rng):
    """Return a text about one of two subjects."""
    subject = rng.choice(["cat", "dog"])
    return " ".join(f"{subject if rng.random() < 0.3 else 'word'}{rng.randrange(1000)}" for _ in range(30))


def train(path, n_bits):
    """Save a model of texts."""
    rng = random.Random(0)
    texts = [draw_text(rng) for _ in range(2_000)]
    labels = np.array(["cat" in text for text in texts])
    model = VectorFlowClassifier(hidden_layer_sizes=(16,), max_iter=3, tol=None, random_state=0)
    model.fit(vectorizer(n_bits).transform(texts), labels)
    model.save(path, keep_state=False)


def vectorizer(n_bits):
    return HashingVectorizer(n_features=2**n_bits, alternate_sign=False)


# %%
# A server process
# ----------------
#
# The processes share a listening socket, and each connection goes to one of them. A request is a list of texts in
# JSON, and the response is a list of probabilities. Bad requests get status 400 and the reason.


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay open
    disable_nagle_algorithm = True
    predict_proba = None

    def do_POST(self):
        try:
            texts = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self.answer(200, self.predict_proba(texts)[:, 1].tolist())
        except (AttributeError, TypeError, ValueError) as error:  # of JSON, or of the vectorizer
            self.answer(400, {"error": str(error)})

    def answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Write no log."""


def serve(listening, path, n_bits, mmap, ready):
    """Answer requests until the process is ended."""
    model = sklearn_vectorflow.load(path, mmap=mmap)
    Handler.predict_proba = staticmethod(make_predictor(make_pipeline(vectorizer(n_bits), model), "predict_proba"))
    Handler.predict_proba(["a first request, which sets up what later ones find"])
    server = ThreadingHTTPServer(listening.getsockname(), Handler, bind_and_activate=False)
    server.daemon_threads = True
    server.socket.close()
    server.socket = listening
    ready.set()
    server.serve_forever()


# %%
# Load
# ----


def ask(connection, texts):
    """Return the answer to a request."""
    connection.request("POST", "/", json.dumps(texts), {"Content-Type": "application/json"})
    response = connection.getresponse()
    content = json.loads(response.read())
    if response.status != 200:
        raise ValueError(content["error"])
    return content


def put_under_load(address, n_requests, n_clients):
    """Return the seconds of all requests, and those of each."""
    latencies = [[] for _ in range(n_clients)]

    def client(own):
        connection, rng = http.client.HTTPConnection(*address), random.Random()
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(n_requests // n_clients):
            texts = [draw_text(rng)]
            begun = time.perf_counter()
            ask(connection, texts)
            own.append(time.perf_counter() - begun)
        connection.close()

    threads = [threading.Thread(target=client, args=(own,)) for own in latencies]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begun, np.concatenate(latencies)


def memory(number):
    """Return megabytes that a process has to itself, and that it shares with others; None where no one says."""
    try:
        lines = Path(f"/proc/{number}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return None
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines}
    return [sum(size for name, size in sizes.items() if name.startswith(kind)) for kind in ("Private_", "Shared_")]


# %%
# All together
# ------------


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[2])
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--requests", type=int, default=4_000)
    parser.add_argument("--bits", type=int, default=20, help="logarithm of the number of columns")
    parser.add_argument("--no-mmap", action="store_true", help="give each process a copy of the weights")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        train(path, options.bits)
        print(f"the model's file has {os.path.getsize(path) / 2**20:.0f} MB")
        run(path, options)


def run(path, options):
    """Serve, and report how it went."""
    context = multiprocessing.get_context("spawn")
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        ready = [context.Event() for _ in range(options.processes)]
        servers = [
            context.Process(target=serve, args=(listening, path, options.bits, not options.no_mmap, one), daemon=True)
            for one in ready
        ]
        for server in servers:
            server.start()
        for one in ready:
            if not one.wait(120):
                raise RuntimeError("A server process did not start.")
        with contextlib.closing(http.client.HTTPConnection(*listening.getsockname())) as connection:
            print("P(cat):", *np.round(ask(connection, ["cat1 cat2", "dog3"]), 3))
        seconds, latencies = put_under_load(listening.getsockname(), options.requests, options.clients)
        middle, late = 1e3 * np.quantile(latencies, [0.5, 0.99])
        print(f"{len(latencies) / seconds:.0f} requests a second; median {middle:.2f} ms, p99 {late:.2f} ms")
        for sizes in [memory(server.pid) for server in servers]:
            print("memory unknown" if sizes is None else "{:.0f} MB private, {:.0f} MB shared".format(*sizes))
        for server in servers:
            server.terminate()
            server.join()


if __name__ == "__main__":
    main()
