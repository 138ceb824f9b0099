"""How the strength of the penalty is chosen: the samples, the search, and what is done to its result."""

import numpy as np
import pytest
from scipy import sparse

from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.estimators import linear_start
from sklearn_vectorflow.estimators import strength as of_estimators
from sklearn_vectorflow.io.matrix import Matrix
from sklearn_vectorflow.io.sampling import sample_step, sampled_rows
from sklearn_vectorflow.layers import wide_and_deep
from sklearn_vectorflow.training.data import Data
from sklearn_vectorflow.training.sample import Sample
from sklearn_vectorflow.training.strength import folds_of, validated

# ---- samples ------------------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", [1, 1000, 5000, 100_000])
def test_a_sample_has_a_row_of_each_stretch_and_grows_thinner_within_itself(n_rows):
    step = sample_step(n_rows, 1000)
    rows = sampled_rows(0, n_rows, step)
    assert min(n_rows, 1000) - 1 <= len(rows) < 2000
    np.testing.assert_array_equal(rows // step, np.arange(n_rows // step + 1)[: len(rows)])
    assert np.all(np.isin(sampled_rows(0, n_rows, 2 * step), rows))
    cut = n_rows // 3
    np.testing.assert_array_equal(np.append(sampled_rows(0, cut, step), sampled_rows(cut, n_rows, step)), rows)


def test_a_sample_follows_no_pattern_in_the_rows():
    rows = sampled_rows(0, 1 << 20, 1 << 8)
    for period in (2, 4, 16, 256):
        assert np.bincount(rows % period, minlength=period).max() < 3 * len(rows) / period


def rare(n_rows, n_events):
    rng = np.random.default_rng(0)
    X = sparse.random_array((n_rows, 50), density=0.1, rng=rng, format="csr", dtype=np.float64)
    y = np.zeros((n_rows, 1))
    y[rng.permutation(n_rows)[:n_events]] = 1.0
    return Data(Matrix(X), y, None)


def test_rows_drawn_by_size_stand_for_all():
    data = rare(50_000, 50)
    sizes = {0.0: 0.001, 1.0: 1.0}
    sample = Sample.by_size(data, lambda y, weight, offset: np.where(y[:, 0] == 1.0, sizes[1.0], sizes[0.0]), 1, 2000)
    is_event = sample.encoded[:, 0] == 1.0
    assert is_event.sum() == 50  # all there are
    assert np.all(sample.stands_for[is_event] == 1.0)
    assert sample.stands_for.sum() == pytest.approx(50_000, rel=0.1)
    assert sample.n_losses == sample.stands_for.sum()
    np.testing.assert_allclose(sample.weight, sample.stands_for)
    # the variance of the sum of gradients, of the events 50 ones, of the others each as many times as it stands for
    others = sample.stands_for[~is_event]
    expected = (50 + 1e-6 * np.sum(others**2)) / (50 + 1e-6 * np.sum(others))
    assert 1 < sample.noise == pytest.approx(expected)


def test_parts_of_a_sample_keep_what_rows_stand_for():
    sample = Sample.by_size(rare(5000, 20), lambda y, weight, offset: 0.01 + y[:, 0], 1, 500)
    part = sample.part(np.arange(0, 100))
    np.testing.assert_array_equal(part.stands_for, sample.stands_for[:100])
    np.testing.assert_array_equal(part.columns, sample.columns)


def test_a_sample_has_the_columns_alone_that_have_values():
    X = sparse.csr_array(([1.0, 2.0, 3.0], [90, 5, 90], [0, 2, 3]), shape=(2, 100))
    sample = Sample.of(Data(Matrix(X), np.zeros((2, 1)), None), 10)
    np.testing.assert_array_equal(sample.columns, [5, 90])
    np.testing.assert_array_equal(sample.matrix.values.toarray(), [[2, 1], [0, 3]])


# ---- folds and the search -----------------------------------------------------------------


@pytest.mark.parametrize("n_rows, n_folds, n_used", [(40, 8, 8), (1000, 8, 8), (3000, 4, 4), (9000, 4, 2)])
def test_folds_train_on_most_rows_and_test_on_others(n_rows, n_folds, n_used):
    sample = Sample.of(rare(n_rows, n_rows // 10), n_rows)
    folds = folds_of(sample, n_rows)
    assert len(folds) == n_used and sum(len(blocks) for _, blocks in folds) == 16
    for train, blocks in folds:
        tested = sum(block.n_terms for block in blocks)
        assert train.n_terms + tested == n_rows and tested == pytest.approx(n_rows / n_folds, abs=1)


def test_few_rows_have_no_folds():
    assert folds_of(Sample.of(rare(30, 5), 30), 30) is None


def valley(lowest, noise=0.0):
    """Losses of 16 blocks that are least at a strength, and vary with the strength by chance."""

    def losses_of(strength):
        distance = np.log(strength / lowest) / np.log(4.0)
        rng = np.random.default_rng(int(1e6 * strength) % 1000)
        return 1.0 + 0.01 * distance**2 + noise * rng.normal(size=16)

    return losses_of


@pytest.mark.parametrize("lowest", [0.02, 0.3, 1.0, 2.0, 40.0, 300.0])
def test_the_search_finds_the_valley(lowest):
    assert validated(1.0, valley(lowest)) == pytest.approx(lowest, rel=1e-6)


def test_it_ends_far_away():
    assert validated(1.0, valley(1e9)) == validated(1.0, valley(1e8)) == 4.0**8


def test_a_weaker_strength_must_be_better_beyond_doubt_and_a_stronger_one_need_not():
    def slope(sign):
        def losses_of(strength):
            step = np.log(strength) / np.log(4.0)
            chance = np.where(np.arange(16) % 2 == 0, 1.0, -1.0)
            return 1.0 + 0.01 * sign * step + 0.1 * chance * step  # a standard error of 0.026 a step

        return losses_of

    assert validated(1.0, slope(+1)) == 1.0
    assert validated(1.0, slope(-1)) > 4.0


def test_models_that_diverge_are_not_chosen():
    assert validated(1.0, lambda strength: np.full(16, 1.0 if strength >= 16.0 else np.inf)) >= 16.0
    assert validated(1.0, lambda strength: np.full(16, np.inf)) == 1.0


# ---- in estimators ------------------------------------------------------------------------


def test_the_noise_of_a_sample_is_taken_out_of_the_strength(monkeypatch):
    rng = np.random.default_rng(0)
    X = sparse.random_array((40_000, 100), density=0.05, rng=rng, format="csr", dtype=np.float32)
    y = rng.random(40_000) < 0.002
    guess = VectorFlowClassifier(random_state=0, max_iter=7).fit(X, y).network_.scales.prior
    guesses = []
    monkeypatch.setattr(of_estimators, "validated", lambda guess, _: guesses.append(guess) or guess)
    model = VectorFlowClassifier(random_state=0, max_iter=8).fit(X, y)
    assert guesses[0] > 1.01 * guess  # noisier than the rows themselves
    assert model.network_.scales.prior == pytest.approx(guess, rel=1e-6)


@pytest.mark.parametrize(
    "parameters",
    [
        {"alpha": 1e-4},
        {"max_iter": 7},
        {"network": wide_and_deep((4,))},
        {"hidden_layer_sizes": (4,), "alpha": 1e-4},
        {"hidden_layer_sizes": (4,), "learning_rate": 0.1},
    ],
    ids=str,
)
def test_what_is_given_or_costs_too_much_is_not_searched_for(monkeypatch, parameters):
    monkeypatch.setattr(of_estimators, "validated", lambda *_: pytest.fail("searched"))
    rng = np.random.default_rng(0)
    VectorFlowClassifier(random_state=0, **parameters).fit(rng.normal(size=(200, 5)), rng.integers(0, 2, 200))


def test_nets_have_a_weaker_prior_where_linear_models_do_and_no_stronger_one(monkeypatch):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 5)), rng.integers(0, 2, 200)

    def prior(ratio):
        monkeypatch.setattr(of_estimators, "validated", lambda guess, _: ratio * guess)
        return VectorFlowClassifier((4,), random_state=0).fit(X, y).network_.scales.prior

    assert prior(0.01) == pytest.approx(0.1 * prior(1.0))
    assert prior(100.0) == prior(1.0)


def test_nets_of_many_rows_are_not_preceded_by_linear_models(monkeypatch):
    monkeypatch.setattr(of_estimators, "FEW_ROWS", 200)
    monkeypatch.setattr(linear_start, "MOST_ROWS", 199)
    monkeypatch.setattr(of_estimators, "validated", lambda *_: pytest.fail("searched"))
    rng = np.random.default_rng(0)
    VectorFlowClassifier((4,), random_state=0).fit(rng.normal(size=(200, 5)), rng.integers(0, 2, 200))


@pytest.mark.parametrize("n_products, stands", [(1 << 10, True), (1 << 24, False)])
def test_the_guess_stands_where_a_sample_has_too_few_rows_for_each_of_many_classes(monkeypatch, n_products, stands):
    """With ten rows of each of 1,000 classes, a fifth of them made the strength 1,000 times the best."""
    monkeypatch.setattr(of_estimators, "MOST_PRODUCTS", n_products * 50)
    rng = np.random.default_rng(0)
    X = sparse.random_array((1000, 50), density=0.1, rng=rng, format="csr")
    y = rng.integers(0, 50, 1000)
    guess, found = (
        VectorFlowClassifier(max_iter=n, tol=None, random_state=0).fit(X, y).network_.scales.prior for n in (7, 8)
    )
    assert (found == guess) == stands
