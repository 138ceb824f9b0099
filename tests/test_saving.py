"""`save` and `load`: the same model again, from a file that runs no code."""

import copy
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError

import sklearn_vectorflow
from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor, VectorFlowSurvivalEstimator
from sklearn_vectorflow.io.stored import is_mapped
from sklearn_vectorflow.layers import Input, Linear
from sklearn_vectorflow.losses import DiscreteTime, HuberLoss, RegressionLoss
from sklearn_vectorflow.network.network import Network
from sklearn_vectorflow.optimizers import FTRL
from sklearn_vectorflow.penalties import L2, NonNegative
from sklearn_vectorflow.persistence import container

sys.path.append(str(Path(__file__).parent / "robustness"))

import mutated_pickles as pickles

X, Y = pickles.X, pickles.Y
KINDS = [name for name in pickles.MODELS if name not in ("encoder", "crosser")]
SMALL = {"max_iter": 2, "tol": None, "random_state": 0}


def fitted(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pickle.loads(pickle.dumps(pickles.model(name)))


def update(name, model):
    """Train a model of `mutated_pickles` on its rows once more."""
    targets = {"survival": (Y > 0, Y + 1.0), "labels": np.eye(3, dtype=int)[Y], "ftrl": Y > 0}.get(name, Y)
    more = {"qid": np.repeat(np.arange(8), 10)} if name == "ranker" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.partial_fit(X, targets, **more)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("name", KINDS)
def test_a_loaded_model_predicts_and_goes_on_as_if_it_had_stayed(name, mmap, path):
    model = fitted(name)
    model.save(path)
    before, again = path.read_bytes(), sklearn_vectorflow.load(path, mmap)
    assert type(again) is type(model)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    np.testing.assert_array_equal(update(name, again).predict(X), update(name, model).predict(X))
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", KINDS)
def test_without_the_state_a_model_predicts_alike(name, path):
    model = fitted(name)
    model.save(path)
    whole = path.stat().st_size
    model.save(path, keep_state=False)
    assert path.stat().st_size < whole or name == "sparse"  # which has given its state back
    np.testing.assert_array_equal(sklearn_vectorflow.load(path).predict(X), model.predict(X))
    assert model.network_.keep_state


def test_without_the_state_a_file_holds_no_rows_of_a_stream(path):
    model = VectorFlowClassifier(**SMALL).partial_fit(X, Y, classes=[0, 1, 2])
    model.save(path)
    assert any("_first_rows" in name for name in container.read(path, True)[1])
    model.save(path, keep_state=False)
    assert not any("_first_rows" in name for name in container.read(path, True)[1])
    np.testing.assert_array_equal(sklearn_vectorflow.load(path).predict(X), model.predict(X))
    assert model._first_rows is not None


def test_an_estimator_on_dask_is_saved_as_the_plain_one(path):
    pytest.importorskip("distributed")
    from sklearn_vectorflow.dask import DaskVectorFlowRegressor

    model = DaskVectorFlowRegressor(**SMALL).fit(X, Y)
    model.save(path, keep_state=False)
    again = sklearn_vectorflow.load(path)
    assert type(again) is VectorFlowRegressor
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def arrays_of(model):
    one = model.network_.parameters[0]
    return [array for array in (one.record, one.bias, one.values, one.bias_values) if array is not None]


@pytest.mark.parametrize("optimizer", ["adagrad", "adam", "ftrl", "sgd"])
def test_weights_stay_in_the_file_until_they_are_trained(optimizer, path):
    model = VectorFlowRegressor(optimizer=optimizer, **SMALL).fit(X, Y)
    model.save(path)
    mapped = sklearn_vectorflow.load(path)
    for method in (
        mapped.predict,
        mapped.predictor(),
        mapped.score_samples if hasattr(mapped, "score_samples") else id,
    ):
        method(X)
    assert all(is_mapped(array) and not array.flags.writeable for array in arrays_of(mapped))
    assert not any(is_mapped(array) for array in arrays_of(sklearn_vectorflow.load(path, mmap=False)))
    mapped.partial_fit(X, Y)
    assert not any(is_mapped(array) for array in arrays_of(mapped))


def test_the_largest_array_is_aligned(path):
    wide = sparse.random(50, 4001, 0.05, format="csr", random_state=0)
    VectorFlowRegressor(**SMALL).fit(wide, np.arange(50.0)).save(path)
    record = sklearn_vectorflow.load(path).network_.parameters[0].record
    assert record.ctypes.data % container.ALIGNED == 0


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="asks Linux")
def test_predictions_leave_every_page_of_the_file_shared(path):
    wide = sparse.random(50, 100_000, 1e-3, format="csr", random_state=0)
    VectorFlowRegressor(optimizer="adam", **SMALL).fit(wide, np.arange(50.0)).save(path)
    mapped = sklearn_vectorflow.load(path)
    mapped.predict(wide)
    mapped.predictor()(wide)
    pages = Path("/proc/self/smaps").read_text().split(str(path))[1:]
    assert pages
    for part in pages:
        numbers = dict(line.split(":", 1) for line in part.splitlines()[1:22] if ":" in line)
        assert numbers["Private_Dirty"].split() == ["0", "kB"]
        assert int(numbers["Rss"].split()[0]) > 100


def test_an_update_that_fails_leaves_a_mapped_model_as_it_was(path):
    model = VectorFlowRegressor(optimizer="sgd", **SMALL).fit(X, Y).sparsify()
    model.save(path)
    mapped = sklearn_vectorflow.load(path).densify()
    with pytest.raises(ValueError, match="diverged"):
        mapped.set_params(learning_rate=1e30).partial_fit(X, 1e6 * Y)
    np.testing.assert_array_equal(mapped.predict(X), model.predict(X))


@pytest.mark.parametrize("optimizer", ["sgd", "ftrl"])
def test_a_mapped_model_that_was_sparsified_can_be_trained(optimizer, path):
    model = VectorFlowRegressor(optimizer=optimizer, **SMALL).fit(X, Y).sparsify()
    model.save(path)
    mapped = sklearn_vectorflow.load(path)
    np.testing.assert_array_equal(mapped.partial_fit(X, Y).predict(X), model.partial_fit(X, Y).predict(X))


def test_weights_of_a_mapped_model_can_be_set(path):
    model = VectorFlowRegressor(**SMALL).fit(X, Y)
    model.save(path)
    mapped = sklearn_vectorflow.load(path)
    network: Network = mapped.network_
    network.set_weights([2.0 * one for one in network.weights()], network.intercepts())
    np.testing.assert_allclose(mapped.coef_, 2.0 * model.coef_)


@pytest.mark.skipif(os.name == "nt", reason="a mapped file cannot be replaced on Windows")
def test_a_file_can_be_replaced_while_a_model_is_mapped(path):
    model = VectorFlowRegressor(**SMALL).fit(X, Y)
    model.save(path)
    mapped, before = sklearn_vectorflow.load(path), model.predict(X)
    model.partial_fit(X, -Y)
    model.save(path)
    np.testing.assert_array_equal(mapped.predict(X), before)
    np.testing.assert_array_equal(sklearn_vectorflow.load(path).predict(X), model.predict(X))


@pytest.mark.parametrize(
    "model",
    [
        VectorFlowClassifier(class_weight={"a": 2.0, "b": np.float32(1.5), "ä\ud800": 1.0}),
        VectorFlowClassifier(solver="exact", hidden_layer_sizes=[], alpha=np.float64(0.1)),
        VectorFlowClassifier(network=Linear(name="last")(Linear(4, init=0.1)(Input(range(0, 20, 2))))),
        VectorFlowClassifier(random_state=np.random.RandomState(3), penalty=[L2(np.full(24, 0.1)), NonNegative()]),
        VectorFlowClassifier(optimizer=FTRL(learning_rate=0.3), early_stopping=True, dropout=0.1),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_parameters_and_classes_come_back(model, path):
    labels = np.array(["a", "b", "ä\ud800"], dtype=object)[Y]
    model.set_params(max_iter=2)
    if model.random_state is None:
        model.set_params(random_state=0)
    model.fit(X, labels).save(path)
    again = sklearn_vectorflow.load(path)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(again.classes_, model.classes_)
    assert pickle.dumps(again.classes_) == pickle.dumps(model.classes_)
    own, theirs = model.get_params(), again.get_params()
    assert own.keys() == theirs.keys()
    assert all(type(own[name]) is type(theirs[name]) for name in own)
    np.testing.assert_array_equal(again.fit(X, labels).predict_proba(X), model.fit(X, labels).predict_proba(X))


def test_names_of_features_come_back(path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X.toarray(), columns=[f"column {k}" for k in range(24)])
    model = VectorFlowRegressor(**SMALL).fit(frame, Y)
    model.save(path)
    again = sklearn_vectorflow.load(path)
    np.testing.assert_array_equal(again.feature_names_in_, model.feature_names_in_)
    np.testing.assert_array_equal(again.predict(frame), model.predict(frame))


@pytest.mark.parametrize("distribution", ["weibull", "cox", "discrete", "piecewise_exponential"])
def test_curves_of_survival_come_back(distribution, path):
    model = VectorFlowSurvivalEstimator(distribution, **SMALL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, (Y > 0, Y + 1.0)).save(path)
    again = sklearn_vectorflow.load(path)
    for mine, theirs in zip(again.predict_survival_function(X), model.predict_survival_function(X)):
        np.testing.assert_array_equal(mine(mine.x), theirs(theirs.x))


# ---- what users write ---------------------------------------------------------------


def own_function(y, raw, sample_weight):
    error = raw - y
    return float(np.sum(sample_weight * error**2)), 2.0 * sample_weight * error


class OwnLoss(RegressionLoss):
    def __init__(self, factor=1.0):
        self.factor = factor

    def __call__(self, y, raw, sample_weight):
        total, gradient = own_function(y, raw, sample_weight)
        return self.factor * total, self.factor * gradient


class OwnEstimator(VectorFlowRegressor):
    pass


@pytest.mark.parametrize(
    "model, name",
    [
        (VectorFlowRegressor(loss=own_function, **SMALL), own_function),
        (VectorFlowRegressor(loss=OwnLoss(0.5), **SMALL), OwnLoss),
        (OwnEstimator(**SMALL), OwnEstimator),
    ],
)
def test_what_users_write_has_to_be_trusted(model, name, path):
    model.fit(X, Y)
    with pytest.raises(TypeError, match=r"not part of sklearn_vectorflow: .* trusted=\[\.\.\.\] .* pickle or skops"):
        model.save(path)
    assert not path.exists()
    model.save(path, trusted=[name])
    with pytest.raises(ValueError, match=rf"model.safetensors .* names 'test_saving:{name.__name__}', .* trusted"):
        sklearn_vectorflow.load(path)
    again = sklearn_vectorflow.load(path, trusted=[name])
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    np.testing.assert_array_equal(again.partial_fit(X, Y).predict(X), model.partial_fit(X, Y).predict(X))


def test_two_of_the_same_name_cannot_be_trusted():
    with pytest.raises(ValueError, match="two objects named"):
        sklearn_vectorflow.load("file", trusted=[lambda: 0, lambda: 1])
    with pytest.raises(TypeError, match="trusted must hold classes and functions, got 3"):
        sklearn_vectorflow.load("file", trusted=[3])


# ---- files ---------------------------------------------------------------------------


def test_an_unfitted_model_is_not_saved(path):
    with pytest.raises(NotFittedError):
        VectorFlowRegressor().save(path)
    assert not path.exists()


def test_a_write_that_fails_leaves_the_file_that_was_there(path, monkeypatch):
    model = VectorFlowRegressor(**SMALL).fit(X, Y)
    model.save(path)
    before = path.read_bytes()

    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left .*model.safetensors"):
        model.partial_fit(X, Y).save(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def changed_version(content):
    return content.replace(b'"version": "1"', b'"version": "2"')


DAMAGES = {
    "empty": (lambda content: b"", "0 bytes, .* truncated"),
    "cut in the header": (lambda content: content[:100], "100 bytes, .* truncated"),
    "cut in an array": (lambda content: content[:-1], r"it has \d+ bytes, expected \d+"),
    "longer": (lambda content: content + b"\0", r"it has \d+ bytes, expected \d+"),
    "a bit of the last array": (lambda content: content[:-1] + bytes([content[-1] ^ 1]), "array .* its checksum"),
    "a parameter": (lambda content: content.replace(b'"relu', b'"tanh'), "its header does not match its checksum"),
    "a space of the header": (
        lambda content: content.replace(b"}  ", b"} \t", 1),
        "header does not match its checksum",
    ),
    "a later version": (changed_version, "version 2 of the format, and this release reads 1"),
    "a pickle": (lambda content: pickle.dumps(list(range(500))), "not a saved model"),
    "another file of the format": (lambda content: (2).to_bytes(8, "little") + b"{}", "not that of a saved model"),
}


def test_an_array_that_is_not_aligned_is_refused(path, monkeypatch):
    written = container._header
    monkeypatch.setattr(container, "_header", lambda *arguments: written(*arguments) + b" ")
    monkeypatch.setattr(container, "_sha256", lambda header: container.UNSIGNED.encode())  # of any header
    container.write(path, None, {"one": np.zeros(3)})
    with pytest.raises(ValueError, match="array one is not aligned"):
        container.read(path, mmap=True)


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused_by_its_name(damage, mmap, path):
    change, message = DAMAGES[damage]
    VectorFlowRegressor(solver="exact", **SMALL).fit(X.tocsc()[:, :3], Y).save(path)
    content = path.read_bytes()
    path.write_bytes(change(content))
    assert path.read_bytes() != content
    with pytest.raises(ValueError, match=rf"model\.safetensors cannot be loaded as a model: .*{message}"):
        sklearn_vectorflow.load(path, mmap)


def test_a_missing_file_is_missing(path):
    with pytest.raises(FileNotFoundError):
        sklearn_vectorflow.load(path)


def test_nothing_is_imported_for_a_file(path, tmp_path):
    """What a file names is looked up, even if it could be imported."""
    (tmp_path / "harmful.py").write_text("print('imported')\nclass Harmful: pass\n")
    container.write(path, {"object": ["harmful:Harmful", {"dict": []}]}, {})
    code = f"import sklearn_vectorflow; sklearn_vectorflow.load({str(path)!r})"
    paths = os.pathsep.join([str(tmp_path), str(Path(sklearn_vectorflow.__file__).parents[1])])
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,  # not in a checkout, whose sources would be imported
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert "names 'harmful:Harmful'" in ended.stderr
    assert not ended.stdout


def test_other_readers_of_the_format_find_the_weights(path):
    safetensors = pytest.importorskip("safetensors.numpy")
    model = VectorFlowRegressor(**SMALL).fit(X, Y)
    model.save(path, keep_state=False)
    arrays = safetensors.load_file(path)
    (record,) = (array for name, array in arrays.items() if name.endswith("record"))
    np.testing.assert_array_equal(record.ravel(), model.coef_)


def test_targets_of_intervals_that_are_none_are_refused():
    loss = DiscreteTime(np.array([1.0, 2.0]))
    for wrong in ([0.0, 0.0, 10.0**6], [1.0, -5.0, 1.0], [1.0, 2.0, 1.0]):
        with pytest.raises(ValueError, match="y must have intervals in 0 ... 2"):
            loss(np.array([wrong]), np.zeros((1, 3)))


def test_first_rows_that_a_net_cannot_read_are_refused():
    model = VectorFlowClassifier(**SMALL).partial_fit(X, Y, classes=[0, 1, 2])
    model._first_rows.parts[0].encoded[3] = 10.0**6
    with pytest.raises(ValueError, match="pickle is damaged: y must be in 0 ... 2"):
        pickle.loads(pickle.dumps(model))


def test_parts_of_a_huber_model_are_named_in_the_file(path):
    model = VectorFlowRegressor(loss=HuberLoss(), **SMALL).fit(X, Y)
    model.save(path)
    content, arrays = container.read(path, mmap=False)
    assert content["object"][0] == "estimators.VectorFlowRegressor"
    assert "losses.HuberLoss" in str(content)
    assert "network_._state.parameters[0].record" in arrays


def without(node, name):
    """Return the JSON of a model in which no object has an attribute of that name."""
    if isinstance(node, dict):
        return {
            kind: [[key, without(value, name)] for key, value in inside if key != name]
            if kind == "dict"
            else without(inside, name)
            for kind, inside in node.items()
        }
    return [without(one, name) for one in node] if isinstance(node, list) else node


@pytest.mark.parametrize("name", ["exact_tol", "delta"])
def test_parameters_that_an_earlier_release_did_not_have_get_their_defaults(name, path):
    model = VectorFlowRegressor(loss=HuberLoss(), **SMALL).fit(X, Y)
    model.save(path)
    content, arrays = container.read(path, mmap=False)
    assert without(content, name) != content
    container.write(path, without(content, name), arrays)
    again = sklearn_vectorflow.load(path)
    assert again.get_params()[f"loss__{name}" if name == "delta" else name] == {"exact_tol": 1e-8, "delta": 1.0}[name]
    np.testing.assert_array_equal(again.fit(X, Y).predict(X), model.fit(X, Y).predict(X))


def test_units_of_y_that_are_none_are_refused():
    model = VectorFlowRegressor(**SMALL).fit(X, Y)
    model._target_units = [1.0]
    with pytest.raises(ValueError, match="units of y are"):
        pickle.loads(pickle.dumps(model))


@pytest.mark.parametrize("name", [name for name in pickles.MODELS if name not in ("encoder", "crosser")])
@pytest.mark.filterwarnings("ignore")
def test_a_file_without_an_attribute_is_refused_or_harmless(path, name):
    """A model that lacks something is not loaded, or it works, or says why not."""
    whole = pickles.model(name)
    for lacking in vars(whole).keys() - whole.get_params(deep=False).keys():
        model = copy.copy(whole)
        delattr(model, lacking)
        try:
            model.save(path)
            loaded = sklearn_vectorflow.load(path)
            loaded.predict(pickles.X)
            if hasattr(loaded, "predict_survival_function"):
                loaded.predict_survival_function(pickles.X)
            pickles.use(name, loaded)
        except (ValueError, TypeError):
            continue
