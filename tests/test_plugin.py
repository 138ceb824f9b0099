"""The example of a loss compiled out of tree is built against the installed package."""

import ctypes
import os
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import sklearn_vectorflow
from sklearn_vectorflow import VectorFlowRegressor, VectorFlowSurvivalEstimator
from sklearn_vectorflow.engine.losses.evaluate import VERSION
from sklearn_vectorflow.layers import Input, Linear, Tanh
from sklearn_vectorflow.losses import QuantileLoss, RegressionLoss, check_loss

import user_losses

EXAMPLE = Path(__file__).parents[1] / "examples" / "custom_loss_cython"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder that the README's command installed the example into."""
    for needed in ("Cython", "pip", "setuptools"):
        if find_spec(needed) is None:  # imported here, pip would change what setuptools imports
            pytest.skip(f"needs {needed}")
    source, target = (tmp_path_factory.mktemp("plugin") / name for name in ("source", "target"))
    shutil.copytree(EXAMPLE, source)
    install = shlex.split(readme_line("pip install --no-build-isolation"))
    run([sys.executable, "-m", *install, "--no-deps", "--target", str(target)], source)
    return source, target


@pytest.fixture(scope="module")
def plugin(installed):
    sys.path.insert(0, str(installed[1]))
    try:
        import custom_losses

        yield custom_losses
    finally:
        sys.path.remove(str(installed[1]))


def readme_line(start):
    """The line of a command in the example's README."""
    [line] = [line for line in (EXAMPLE / "README.md").read_text().splitlines() if line.startswith(start)]
    return line


def run(command, folder, *path):
    """Run a command that finds the package under test."""
    path = os.pathsep.join([*map(str, path), str(Path(sklearn_vectorflow.__file__).parents[1])])
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 30)) * (rng.uniform(size=(400, 30)) < 0.2)
    return X, X @ rng.normal(size=30) + rng.normal(size=400), rng.uniform(0.5, 2.0, 400)


def test_header_and_cython_declarations_are_installed():
    include = Path(sklearn_vectorflow.get_include())
    for name in ("kernels/contract.h", "contract.pxd", "losses/capsule.pxd"):
        assert (include / name).exists()


@pytest.mark.parametrize("batch_size", [1, 64])
def test_pinball_is_the_same_built_in_and_out_of_tree(plugin, rows, batch_size):
    X, y, weight = rows
    fitted = [
        VectorFlowRegressor(loss=loss, batch_size=batch_size, max_iter=4, random_state=0).fit(X, y, weight)
        for loss in (QuantileLoss(0.8), _from_quantile(plugin.Pinball)(0.8))
    ]
    assert_allclose(fitted[1].coef_, fitted[0].coef_, rtol=0, atol=1e-6)
    assert_allclose(fitted[1].loss_curve_, fitted[0].loss_curve_)


def _from_quantile(loss):
    return type("Pinball", (loss,), {"initial_raw": QuantileLoss.initial_raw})


@pytest.mark.parametrize("batch_size", [1, 64])
def test_exponential_is_the_same_in_all_doors(plugin, rows, batch_size):
    pytest.importorskip("numba")
    X, y, weight = rows
    times = np.column_stack([np.exp(-y / 4), y < 1])
    fitted = [
        VectorFlowRegressor(loss=loss, batch_size=batch_size, max_iter=4, random_state=0).fit(X, times, weight)
        for loss in (plugin.Exponential(), user_losses.ExponentialNumba(), user_losses.ExponentialPython())
    ]
    for other in fitted[1:]:
        assert_allclose(other.coef_, fitted[0].coef_, rtol=0, atol=1e-6)
        assert_allclose(other.predict(X), fitted[0].predict(X), rtol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 64])
def test_exponential_is_the_same_built_in_and_out_of_tree(plugin, rows, batch_size):
    X, y, weight = rows
    event, time = y < 1, np.exp(-y / 4)
    time *= event.sum() / time.sum()  # in this unit the loss built in has nothing to scale
    built_in = VectorFlowSurvivalEstimator("exponential", batch_size=batch_size, max_iter=4, random_state=0)
    built_in.fit(X, (event, time), weight)
    start = built_in.loss_.initial_raw(np.column_stack([event, np.log(time)]), weight)
    loss = type("Exponential", (plugin.Exponential,), {"initial_raw": lambda self, y, sample_weight: start})()
    own = VectorFlowRegressor(loss=loss, batch_size=batch_size, max_iter=4, random_state=0)
    own.fit(X, np.column_stack([time, event]), weight)
    assert_allclose(own.coef_[0], built_in.coef_, rtol=0, atol=1e-6)
    assert_allclose(own.loss_curve_, built_in.loss_curve_)


@pytest.mark.parametrize("batch_size", [1, 64])
def test_nodes_are_read_in_all_doors(plugin, rows, batch_size):
    pytest.importorskip("numba")
    X, y, weight = rows
    hidden = Tanh()(Linear(5, name="hidden")(Input()))
    network = [Linear(1)(hidden), Linear(1, name="count")(hidden)]
    fitted = [
        VectorFlowRegressor(network=network, loss=loss, batch_size=batch_size, max_iter=4, random_state=0).fit(
            X, np.column_stack([y, y > 0]), weight
        )
        for loss in (plugin.TwoTasks(0.3), user_losses.TwoTasksNumba(0.3), user_losses.TwoTasksPython(0.3))
    ]
    for other in fitted[1:]:
        assert_allclose(other.loss_curve_, fitted[0].loss_curve_)
        for own, first in zip(other.coefs_, fitted[0].coefs_):
            assert_allclose(own, first, rtol=0, atol=1e-6)


def test_the_readmes_check_passes_in_the_folder_of_the_example(installed):
    source, target = installed
    run([sys.executable, *shlex.split(readme_line("python -c"))[1:]], source, target)


def test_plugin_passes_the_checker(plugin):
    check_loss(plugin.TwoTasks(0.2), np.column_stack([np.linspace(-1, 1, 20), np.arange(20)]), nodes={"count": 1})
    check_loss(plugin.Pinball(0.9))
    check_loss(plugin.Exponential(), np.column_stack([np.linspace(0.1, 3, 20), np.arange(20) % 2]))


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_int32), ("rest", ctypes.c_int64 * 16)]


def _capsule(version, name=b"sklearn_vectorflow.loss"):
    header = _Header(version)
    create = ctypes.pythonapi.PyCapsule_New
    create.restype, create.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    _KEPT.append((header, name))
    return create(ctypes.addressof(header), name, None)


_KEPT = []


@pytest.mark.parametrize("version", [0, VERSION - 1, VERSION + 1, -1])
def test_another_version_of_the_contract_is_an_import_error(rows, version):
    class Stale(RegressionLoss):
        kernel = _capsule(version)

    with pytest.raises(ImportError, match=f"version {version} of the loss contract.*has version {VERSION}: build"):
        VectorFlowRegressor(loss=Stale()).fit(*rows)
    with pytest.raises(ImportError, match="build the loss again"):
        Stale()([0.0], [1.0])


@pytest.mark.parametrize(
    "kernel, message",
    [
        (_capsule(VERSION, b"another.capsule"), "PyCapsule named 'sklearn_vectorflow.loss', got <capsule"),
        (_capsule(VERSION), "`evaluate` is NULL"),
        (len, "PyCapsule named 'sklearn_vectorflow.loss', got <built-in function len>"),
        (None, "PyCapsule named"),
    ],
)
def test_what_is_no_loss_is_a_type_error(rows, kernel, message):
    loss = type("Wrong", (RegressionLoss,), {"kernel": kernel})()
    with pytest.raises(TypeError, match=message):
        VectorFlowRegressor(loss=loss).fit(*rows)
