"""Models that earlier releases have saved load and predict what they did; saved/write.py adds those of a release."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import sklearn_vectorflow

FOLDER = Path(__file__).parent / "saved"
FILES = sorted(FOLDER.glob("*/*.safetensors"))

spec = importlib.util.spec_from_file_location("saved_models", FOLDER / "write.py")
writer = importlib.util.module_from_spec(spec)
spec.loader.exec_module(writer)


def test_this_release_has_its_files():
    here = {path.stem for path in FILES if path.parent.name == sklearn_vectorflow.__version__}
    assert here == writer.MODELS.keys(), "run tests/saved/write.py"


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_saved_models_predict_what_they_did(path, mmap):
    model = sklearn_vectorflow.load(path, mmap=mmap)
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    found = writer.predictions(path.stem, model)
    assert expected.keys() <= found.keys()
    for method, values in expected.items():
        if isinstance(np.ravel(values)[0], str):
            assert found[method] == values
        else:
            np.testing.assert_allclose(found[method], values, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_saved_models_are_saved_again(path, tmp_path):
    model = sklearn_vectorflow.load(path)
    model.save(tmp_path / "again.safetensors")
    again = sklearn_vectorflow.load(tmp_path / "again.safetensors")
    assert writer.predictions(path.stem, again) == writer.predictions(path.stem, model)
    assert repr(again) == repr(model)


def test_a_saved_stream_goes_on():
    model = sklearn_vectorflow.load(FOLDER / "0.1.0" / "stream.safetensors")
    before = model.predict(writer.X)
    for _ in range(20):
        model.partial_fit(writer.X, writer.Y)
    assert np.mean((model.predict(writer.X) - writer.Y) ** 2) < np.mean((before - writer.Y) ** 2)
