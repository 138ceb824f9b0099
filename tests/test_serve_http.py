"""The example of a server answers requests, also bad ones, and measures itself."""

import contextlib
import http.client
import importlib.util
import os
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

import sklearn_vectorflow

EXAMPLE = Path(__file__).parents[1] / "examples" / "serve_http.py"
N_BITS = 10

pytestmark = pytest.mark.skipif(not EXAMPLE.exists(), reason="the examples are not beside the tests")


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("serve_http", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def path(example, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    example.train(path, N_BITS)
    return path


@pytest.fixture(scope="module")
def address(example, path):
    """A server in this process; the example starts several as processes of their own."""
    listening, ready = socket.create_server(("127.0.0.1", 0)), threading.Event()
    threading.Thread(target=example.serve, args=(listening, path, N_BITS, True, ready), daemon=True).start()
    assert ready.wait(60)
    return listening.getsockname()


def test_answers_are_the_pipelines(example, path, address):
    pipeline = make_pipeline(example.vectorizer(N_BITS), sklearn_vectorflow.load(path))
    texts = ["cat1 cat2 cat3", "dog7", ""]
    with contextlib.closing(http.client.HTTPConnection(*address)) as connection:
        np.testing.assert_allclose(example.ask(connection, texts), pipeline.predict_proba(texts)[:, 1], rtol=1e-6)
        for request, problem in ((7, "not iterable"), ([7], "no attribute 'lower'")):
            with pytest.raises(ValueError, match=problem):
                example.ask(connection, request)
        np.testing.assert_allclose(example.ask(connection, ["dog7"]), pipeline.predict_proba(["dog7"])[:, 1], rtol=1e-6)


def test_it_measures_every_request(example, address):
    seconds, latencies = example.put_under_load(address, 20, 2)
    assert len(latencies) == 20
    assert 0 < latencies.max() <= seconds


def test_it_reads_the_memory_of_a_process(example):
    sizes = example.memory(os.getpid())
    assert sizes is None or min(sizes) > 0
    assert example.memory(-1) is None
