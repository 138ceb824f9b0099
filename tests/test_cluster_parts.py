"""Training over parts in one process: what a cluster computes, without the cluster."""

import pickle
import warnings
import weakref

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from sklearn_vectorflow import (
    VectorFlowClassifier,
    VectorFlowRanker,
    VectorFlowRegressor,
    VectorFlowSurvivalEstimator,
)
from sklearn_vectorflow.cluster import narrow, samples, schedule
from sklearn_vectorflow.cluster.fit import Here, PartsFit
from sklearn_vectorflow.cluster.parts import SourcePart, rows_of_arrays
from sklearn_vectorflow.cluster.schedule import Schedule
from sklearn_vectorflow.cluster.survey import survey, surveys_of
from sklearn_vectorflow.defaults.batch_size import PASSES
from sklearn_vectorflow.estimators.callbacks import FitTask
from sklearn_vectorflow.io import CSRSource
from sklearn_vectorflow.io.blocks import Block
from sklearn_vectorflow.io.source import Source
from sklearn_vectorflow.layers import (
    Concat,
    Input,
    Linear,
    ReLU,
    factorization_machine,
    field_aware_factorization_machine,
)
from sklearn_vectorflow.merging import get_state

from datasets import load, needs_data

RNG = np.random.RandomState(0)
N_ROWS, N_COLUMNS = 3000, 400
X = sparse.random(N_ROWS, N_COLUMNS, density=0.03, random_state=0, format="csr", dtype=np.float32)
SIGNAL = X @ RNG.randn(N_COLUMNS)
Y = (SIGNAL > 0).astype(int)


@pytest.fixture(autouse=True)
def merge_small_parts(monkeypatch):
    """Train as many rows as there are here apart."""
    monkeypatch.setattr(schedule, "ROWS_APART", 300)


def cut(n_parts, X=X, y=Y, weight=None, groups=None, edges=None):
    edges = np.linspace(0, X.shape[0], n_parts + 1).astype(int) if edges is None else edges
    spans = [slice(a, b) for a, b in zip(edges[:-1], edges[1:])]
    return [(X[s], *(None if one is None else one[s] for one in (y, weight, groups))) for s in spans]


def fitted(model, parts, validation=None):
    model._check_parameters()
    run = PartsFit(model, parts, Here(), validation)
    run.run(FitTask(model, model.max_iter, {}))
    return model


def beside_a_hidden_layer():
    """A net whose last layer reads all columns and hidden units, side by side."""
    x = Input()
    return Linear()(Concat()([x, ReLU()(Linear(4)(x))]))


def classifier(**params):
    return VectorFlowClassifier(**{"random_state": 0, "max_iter": 4, "tol": None, **params})


# ---- schedule --------------------------------------------------------------------------


@pytest.mark.parametrize("counts", [[(100,)] * 8, [(1000,), (3,), (), (70, 80)], [(5,)], [(0,), (40,)]])
def test_every_row_is_trained_once_an_epoch(counts):
    plan = Schedule(counts)
    first = plan.first_pieces()
    for epoch, begun in ((0, first), (1, ())):
        seen = [np.zeros(sum(one), dtype=int) for one in counts]
        for pieces in ([begun] if begun else []) + plan.rounds(epoch, begun, np.random.RandomState(0)):
            for piece in pieces:
                seen[piece.part][piece.start : piece.end] += 1
        assert all(np.all(one == 1) for one in seen)


def test_the_first_epoch_has_more_rounds():
    plan = Schedule([(500,)] * 4)
    assert len(plan.rounds(0, plan.first_pieces())) > len(plan.rounds(1)) == 1
    assert Schedule([(500,)]).first_pieces() == []


def rows_in_turn(*counts, **options):
    return [piece.end - piece.start for piece in Schedule([(count,) for count in counts], **options).first_pieces()]


def test_nets_train_more_rows_in_turn_and_no_more_than_half_of_a_part():
    linear, net = (rows_in_turn(*[1900] * 64, is_linear=is_linear) for is_linear in (True, False))
    assert sum(linear) == pytest.approx(64 * 1900 * schedule.FIRST_SHARE, rel=0.3)
    assert sum(net) == pytest.approx(schedule.FEWEST_OF_NETS, rel=0.01)
    assert max(linear + net) <= 1900 / 2
    assert sum(rows_in_turn(*[100] * 64, is_linear=False)) == 64 * 100 / 2
    assert len(rows_in_turn(*[10**6] * 64)) == schedule.FIRST_PARTS  # however many parts there are


# ---- samples ---------------------------------------------------------------------------


def test_workers_send_no_more_sampled_rows_than_needed(monkeypatch):
    monkeypatch.setattr(samples, "SAMPLE", 128)
    monkeypatch.setattr(samples, "OF_MERGES", 64)
    received = []

    class Watched(Here):
        def result(self, values):
            received.extend(len(one.rows) for one in values if isinstance(one, samples.Sample))
            return values

    parts = [*cut(8), (X[:0], Y[:0])]
    told = surveys_of(Watched(), classifier()._draft(), parts)
    assert samples.SAMPLE <= sum(received) < 2 * samples.SAMPLE
    for fewest in (None, samples.OF_MERGES):
        mine, theirs = (samples.sampled(one, fewest) for one in (told, surveyed(parts)))
        np.testing.assert_array_equal(mine.matrix.values.toarray(), theirs.matrix.values.toarray())
        np.testing.assert_array_equal(mine.y, theirs.y)


def surveyed(parts, model=None):
    model = VectorFlowRegressor() if model is None else model
    return [survey(model, number, len(parts), *part) for number, part in enumerate(parts)]


def test_rows_are_drawn_whatever_their_period_and_from_parts_by_their_size():
    kind, n_kinds, edges = np.arange(40_000), 16, [0, 25_000, 25_003, 33_000, 40_000]
    rows = sparse.csr_matrix((np.ones(len(kind)), kind % n_kinds, np.arange(len(kind) + 1)), (len(kind), n_kinds))
    of_part = np.repeat(np.arange(4.0), np.diff(edges))
    sample = samples.sampled(surveyed(cut(None, rows.astype(np.float32), of_part, edges=edges)))
    assert samples.SAMPLE <= len(sample) < 2 * samples.SAMPLE
    np.testing.assert_allclose(np.bincount(sample.matrix.values.indices), len(sample) / n_kinds, rtol=0.3)
    np.testing.assert_allclose(np.bincount(sample.y.astype(int)), np.diff(edges) * (len(sample) / 40_000), atol=1)


def test_a_sample_is_the_same_however_rows_come_in_blocks(monkeypatch):
    monkeypatch.setattr(samples, "SAMPLE", 1 << 12)
    rows = rows_of_arrays(VectorFlowRegressor(), X, np.arange(N_ROWS), reset=True)
    found = []
    for size in (7, 1000, N_ROWS):
        sampler = samples.Sampler(5, 400)
        for start in range(0, N_ROWS, size):
            sampler.add(rows.between(start, min(start + size, N_ROWS)))
        found.append(sampler.sample().rows.y)
    assert 64 <= len(found[0]) < 128
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_many_small_parts_are_not_drawn_alike(monkeypatch):
    monkeypatch.setattr(samples, "SAMPLE", 100)
    sample = samples.sampled(surveyed(cut(600, y=np.arange(N_ROWS))))
    assert len(sample) == pytest.approx(N_ROWS / 16, rel=0.3)
    assert np.bincount(sample.y % 5).min() > 0  # each place in a part


def test_groups_are_drawn_whole(monkeypatch):
    monkeypatch.setattr(samples, "SAMPLE", 400)
    for size in (10, 1500):  # of the long ones none may be drawn
        groups = np.repeat(np.arange(N_ROWS // size), size)
        sample = samples.sampled(surveyed(cut(2, y=groups, groups=groups)))
        assert len(sample) and set(np.bincount(sample.y)) <= {0, size}
        assert np.array_equal(np.diff(sample.groups) != 0, np.diff(sample.y) != 0)


# ---- quality ---------------------------------------------------------------------------


@pytest.mark.parametrize("n_parts", [2, 8, 16])
def test_parts_train_about_as_well_as_all_rows_with_an_epoch_more(n_parts):
    held_out = slice(2000, None)
    local = classifier(max_iter=3).fit(X[:2000], Y[:2000])
    spread = fitted(classifier(max_iter=4), cut(n_parts, X[:2000], Y[:2000]))
    losses = [log_loss(Y[held_out], model.predict_proba(X[held_out])) for model in (local, spread)]
    assert losses[1] < losses[0] + 0.02


def test_few_rows_are_trained_in_turn(monkeypatch):
    monkeypatch.setattr(schedule, "ROWS_APART", 1000)
    plan = Schedule([(500,)] * 6)
    rounds = plan.rounds(1, random_state=np.random.RandomState(0))
    assert [len(one) for one in rounds] == [3, 3]
    assert all([piece.part for piece in one] == sorted(piece.part for piece in one) for one in rounds)
    assert {piece.part for one in rounds for piece in one} == set(range(6))


@needs_data
@pytest.mark.filterwarnings("ignore:Steps of one size")  # two words of news20 have counts far above those of others
@pytest.mark.parametrize("name", ["a9a", "rcv1_small", "news20"])
def test_parts_of_real_rows_train_as_well_as_all_of_them(name, monkeypatch):
    monkeypatch.undo()
    data = load(name)
    rows, y = data["X"], data["y"]
    keep = RNG.permutation(rows.shape[0])[:32_000]
    first, last, y_first, y_last = train_test_split(rows[keep], y[keep], test_size=0.25, random_state=0)
    local = classifier(max_iter=3).fit(first, y_first)
    spread = fitted(classifier(max_iter=4), cut(8, first, y_first))
    losses = [log_loss(y_last, model.predict_proba(last)) for model in (local, spread)]
    assert losses[1] < losses[0] + 0.01


# ---- the same whoever computes ----------------------------------------------------------


class Travelling(Here):
    """Runs tasks at once, on pickled arguments: nothing is shared."""

    def submit(self, function, *arguments):
        return pickle.loads(pickle.dumps(function(*pickle.loads(pickle.dumps(arguments)))))


@pytest.mark.parametrize("params", [{}, {"hidden_layer_sizes": (4,)}, {"optimizer": "adagrad", "average": True}])
def test_tasks_are_pure(params):
    results = []
    for executor in (Here(), Travelling()):
        model = classifier(max_iter=2, **params)
        PartsFit(model, cut(3), executor).run(FitTask(model, 2, {}))
        results.append(model)
    np.testing.assert_array_equal(*[model.decision_function(X) for model in results])
    assert results[0].loss_curve_ == results[1].loss_curve_


def test_one_part_trains_as_a_local_fit_does():
    local = classifier(max_iter=2, shuffle=False).fit(X, Y)
    spread = fitted(classifier(max_iter=2, shuffle=False), cut(1))
    assert spread.score(X, Y) == pytest.approx(local.score(X, Y), abs=0.01)
    assert spread.loss_curve_ == pytest.approx(local.loss_curve_, rel=0.02)


def rules_of(model):
    return [(rule.numbers, rule.penalty) for rule in model.network_._state.rules]


@pytest.mark.parametrize(
    "params",
    [
        {},  # too few epochs for a search
        {"max_iter": 8},
        {"hidden_layer_sizes": (4,)},
        {"network": factorization_machine(3)},
        {"alpha": 1e-3, "hidden_layer_sizes": (4,)},
    ],
    ids=["few epochs", "validated", "net", "layers", "alpha"],
)
def test_rates_and_strengths_are_those_of_a_local_fit(params):
    local = classifier(**{"max_iter": 1, **params}).fit(X, Y)
    spread = fitted(classifier(**{"max_iter": 1, **params}), cut(4))
    assert spread.network_.scales == local.network_.scales
    assert rules_of(spread) == rules_of(local)
    assert spread.alpha == params.get("alpha")


def test_strengths_follow_the_number_of_all_rows(monkeypatch):
    rare = (SIGNAL > np.quantile(SIGNAL, 0.98)).astype(int)
    monkeypatch.setattr(samples, "SAMPLE", 500)
    local = classifier(max_iter=1).fit(X, rare)
    spread = fitted(classifier(max_iter=1), cut(4, X, rare))
    scales = spread.network_.scales
    assert scales.telling == pytest.approx(local.network_.scales.telling, rel=0.5)  # not those of the sample
    [(_, penalty)] = rules_of(spread)
    assert penalty["l2"] == pytest.approx(scales.prior / N_ROWS)


def test_a_handful_of_rows_is_trained_several_times_an_epoch():
    few = slice(0, 48)
    model = classifier(max_iter=20, optimizer="ftrl")  # by default, a local fit changes the units of unlike columns
    spread = fitted(model, cut(2, X[few], Y[few]))
    local = clone(model).fit(X[few], Y[few])
    in_halves = 2  # steps more, as the first pass begins with a half of each part
    assert get_state(spread).step == 20 * PASSES * 2 + in_halves
    assert spread.loss_curve_[-1] == pytest.approx(local.loss_curve_[-1], abs=0.05)
    assert get_state(fitted(classifier(max_iter=20, batch_size=8), cut(2, X[few], Y[few]))).step == 20 * 6 + in_halves


def test_means_of_weights_begin_anew_as_in_a_local_fit():
    params = {"optimizer": "adagrad", "average": True, "max_iter": 5}
    local = classifier(**params).fit(X, Y)
    spread = fitted(classifier(**params), cut(3))
    assert get_state(spread).average_from == get_state(local).average_from
    assert 3.7 * N_ROWS < get_state(local).average_from < 4 * N_ROWS
    assert spread.score(X, Y) > local.score(X, Y) - 0.02


def test_targets_far_from_zero():
    y = 1e6 + SIGNAL
    model = fitted(VectorFlowRegressor(random_state=0, max_iter=6, tol=None), cut(4, X, y))
    assert model.score(X, y) > 0.9


def test_weights_beyond_single_precision_count_alike():
    weight = np.where(np.arange(N_ROWS) < 1500, 10.0, 0.1)
    model, huge = (fitted(classifier(), cut(4, weight=factor * weight)) for factor in (1.0, 2.0**300))
    np.testing.assert_allclose(huge.coef_, model.coef_, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("n_parts", [2, 3, 4, 5, 6])
def test_the_strength_of_the_penalty_is_that_of_a_local_fit(n_parts):
    rng = np.random.default_rng(0)
    columns = (rng.zipf(1.2, size=(60_000, 10)) % 50_000).astype(np.int32)
    rows = sparse.csr_matrix((np.ones(600_000, np.float32), columns.ravel(), np.arange(0, 600_001, 10)))
    rows.sum_duplicates()
    y = (rows @ rng.normal(size=rows.shape[1]) + 5.0 * rng.normal(size=60_000) > 0).astype(int)
    local = classifier(max_iter=1).fit(rows, y).network_
    expected = local.penalties_of(local.graph.weighted[0])["l2"]
    run = PartsFit(classifier(max_iter=1)._draft(), cut(n_parts, rows, y), Here())
    assert expected / 1.8 < run.state.layers[0].rule.penalty["l2"] < 1.8 * expected


# ---- what stays ---------------------------------------------------------------------


def test_tasks_let_go_of_what_a_source_keeps_for_the_next_rows(monkeypatch):
    source, released = CSRSource(X, y=Y), []
    monkeypatch.setattr(type(source), "release", lambda self: released.append(1))
    survey(classifier()._draft(), 0, 1, SourcePart(source, (0,)))
    assert len(released) == 1


# ---- kinds of parts ----------------------------------------------------------------------


def test_empty_and_uneven_parts():
    edges = [0, 0, 2500, 2501, 2501, 3000]
    parts = cut(None, edges=edges)
    model = fitted(classifier(), parts)
    assert model.score(X, Y) > 0.9
    assert model.n_iter_ == 4


def test_parts_of_one_class_only():
    order = np.argsort(Y, kind="stable")
    model = fitted(classifier(max_iter=16), cut(6, X[order], Y[order]))
    assert model.score(X, Y) > 0.85
    assert model.classes_.tolist() == [0, 1]


def test_classes_that_single_parts_lack():
    labels = np.array(["a", "b", "c", "d"])[np.digitize(SIGNAL, [-0.5, 0, 0.5])]
    order = np.argsort(labels, kind="stable")
    model = fitted(classifier(), cut(5, X[order], labels[order]))
    assert model.classes_.tolist() == ["a", "b", "c", "d"]
    assert model.score(X, labels) > 0.7


def test_all_parts_empty_or_of_one_class():
    with pytest.raises(ValueError, match="all parts are empty"):
        fitted(classifier(), cut(None, edges=[0, 0, 0]))
    with pytest.raises(ValueError, match="at least two classes"):
        fitted(classifier(), cut(2, X, np.zeros(N_ROWS)))


def test_errors_name_the_part():
    parts = cut(4)
    bad = parts[2][0].copy()
    bad.data[5] = np.nan
    with pytest.raises(ValueError, match="part 2: .*NaN"):
        fitted(classifier(), [*parts[:2], (bad, *parts[2][1:]), parts[3]])
    with pytest.raises(ValueError, match="part 1 has 300 columns, but part 0 has 400"):
        fitted(classifier(), [parts[0], (parts[1][0][:, :300], *parts[1][1:])])
    with pytest.raises(ValueError, match="Either all parts have sample_weight"):
        fitted(classifier(), [parts[0], (*parts[1][:2], np.ones(len(parts[1][1])), None)])
    with pytest.raises(ValueError, match="part 0: "):
        fitted(classifier(), [(parts[0][0], parts[0][1][:-1], None, None)])


def test_errors_name_the_part_whose_targets_are_invalid():
    time = np.abs(SIGNAL)
    time[1600] = -1
    events = np.array(list(zip(SIGNAL > 0, time)), dtype=[("event", bool), ("time", float)])
    missing = SIGNAL.copy()
    missing[1600] = np.nan
    for model, y, message in [
        (VectorFlowRegressor(), missing, "part 2: y: .*NaN"),
        (classifier(), np.where(np.isnan(missing), missing, Y), "part 2: .*NaN"),
        (classifier(), Y + 0.5, "part 0: .*continuous"),
        (VectorFlowSurvivalEstimator(), events, "part 2: y: time must not be negative"),
    ]:
        with pytest.raises(ValueError, match=message):
            fitted(model, cut(4, X, y))


@pytest.mark.parametrize(
    ("entry", "change", "message"),
    [
        (0, lambda x: x.toarray(), "part 1 has dense rows, but part 0 has sparse rows"),
        (
            1,
            lambda y: np.eye(2, dtype=int)[y],
            "part 1 has targets in 2 columns, but part 0 has targets in one dimension",
        ),
        (1, lambda y: y.astype(str), "part 1 has strings as targets, but part 0 has numbers as targets"),
        (4, lambda _: np.ones(N_ROWS // 4), "part 1 has offsets, but part 0 has no offsets"),
    ],
)
def test_errors_name_the_part_that_differs(entry, change, message):
    parts = [list(part) + [None] * (5 - len(part)) for part in cut(4)]
    parts[1][entry] = change(parts[1][entry])
    with pytest.raises(ValueError, match=message):
        fitted(classifier(), [tuple(part) for part in parts])


def test_weights_count_over_all_parts():
    weight = np.where(np.arange(N_ROWS) < 1500, 10.0, 0.1)
    scaled = fitted(classifier(), cut(4, weight=7 * weight))
    model = fitted(classifier(), cut(4, weight=weight))
    np.testing.assert_allclose(model.coef_, scaled.coef_, rtol=1e-3, atol=1e-4)
    heavy, light = slice(0, 1500), slice(1500, None)
    assert model.score(X[heavy], Y[heavy]) > model.score(X[light], Y[light])
    nothing = weight * (np.arange(N_ROWS) >= 750)
    assert fitted(classifier(), cut(4, weight=nothing)).score(X, Y) > 0.5  # the first part has no weight at all


def test_balanced_classes_are_balanced_over_all_parts():
    rare = (SIGNAL > np.quantile(SIGNAL, 0.9)).astype(int)
    order = np.argsort(rare, kind="stable")
    plain, balanced = (
        fitted(classifier(class_weight=kind), cut(5, X[order], rare[order])) for kind in (None, "balanced")
    )
    recall = [np.mean(model.predict(X[rare == 1])) for model in (plain, balanced)]
    assert recall[1] > recall[0]
    assert balanced.class_weight == "balanced"


def test_labels():
    labels = sparse.csr_array(np.column_stack([Y, SIGNAL > 0.3, SIGNAL < -0.3]).astype(float))
    model = fitted(classifier(), cut(3, X, labels))
    assert model.predict(X).shape == (N_ROWS, 3)
    assert np.mean(model.predict(X) == labels.toarray()) > 0.9


def test_regression():
    model = fitted(VectorFlowRegressor(random_state=0, max_iter=6, tol=None), cut(4, X, SIGNAL))
    assert model.score(X, SIGNAL) > 0.9


def test_ranking_keeps_queries_whole():
    qid = np.repeat(np.arange(N_ROWS // 10), 10)
    relevance = np.digitize(SIGNAL, [-0.3, 0.3])
    model = VectorFlowRanker(random_state=0, max_iter=4, tol=None)
    fitted(model, cut(3, X, relevance, groups=qid))
    local = VectorFlowRanker(random_state=0, max_iter=4, tol=None).fit(X, relevance, qid=qid)
    assert model.score(X, relevance, qid=qid) > local.score(X, relevance, qid=qid) - 0.03


@pytest.mark.parametrize("distribution", ["exponential", "weibull", "cox"])
def test_survival(distribution):
    time = RNG.exponential(np.exp(-SIGNAL))
    y = np.array(list(zip(time < 2, np.minimum(time, 2))), dtype=[("event", bool), ("time", float)])
    model = VectorFlowSurvivalEstimator(distribution, random_state=0, max_iter=5, tol=None)
    fitted(model, cut(3, X, y))
    local = VectorFlowSurvivalEstimator(distribution, random_state=0, max_iter=5, tol=None).fit(X, y)
    assert model.score(X, y) > local.score(X, y) - 0.03
    assert np.all(np.diff(model.predict_survival_function(X[:5], return_array=True), axis=1) <= 0)


def test_parts_of_a_source():
    source = CSRSource(X, y=Y)
    parts = [SourcePart(source, (number,)) for number in range(source.n_parts)]
    model = fitted(classifier(), parts)
    assert model.score(X, Y) > 0.9


class Batches(Source):
    """Parts of some blocks, which are made when they are asked for."""

    def __init__(self, edges):
        super().__init__()
        self.edges, self.n_parts = edges, len(edges)
        self.made, self.held = [], []  # of every block, whether its values are there, and how many were before it

    def read(self, piece):
        edges = self.edges[piece]
        for start, end in zip(edges[:-1], edges[1:]):
            self.held.append(sum(one() is not None for one in self.made))
            block = Block(X[start:end].copy(), Y[start:end])
            self.made.append(weakref.ref(block.X.data))
            yield block
            del block


@pytest.mark.parametrize("numbers", [[(0,), (1,), (2,), (3,)], [(0, 1), (2, 3)], [(0,), (1, 2), (3,)]], ids=str)
def test_parts_of_a_source_may_be_empty(numbers):
    """As where a filter leaves nothing of a row group."""
    source = Batches([[0, 800, 1500], [], [1500, 1500], [1500, 3000]])
    model = fitted(classifier(), [SourcePart(source, some) for some in numbers])
    assert model.score(X, Y) > 0.9
    if (1,) in numbers:
        with pytest.raises(ValueError, match="all parts are empty"):
            fitted(classifier(), [SourcePart(source, (1,)), SourcePart(source, (2,))])


def test_tasks_hold_one_block_of_a_part():
    source = Batches([[0, 400, 800, 1200, 1500], [1500, 2000, 2500, 3000]])
    parts = [SourcePart(source, (0,)), SourcePart(source, (1,))]
    fitted(classifier(), parts, validation=parts)
    assert len(source.held) > 50 and not any(source.held)


# ---- going on, and stopping ----------------------------------------------------------------


def test_warm_starts_go_on():
    model = classifier(max_iter=1, warm_start=True)
    fitted(model, cut(4))
    first = model.loss_curve_[0]
    fitted(model, cut(4))
    assert model.loss_curve_[0] < first
    model.partial_fit(X[:100], Y[:100])


@pytest.mark.parametrize("kept", [True, False])
def test_pickles_hold_the_state_unless_told_not_to(kept):
    model = fitted(classifier(warm_start=True, max_iter=1), cut(4))
    assert model.network_.keep_state
    model.network_.keep_state = kept
    fitted(model, cut(4))
    assert bool(pickle.loads(pickle.dumps(model)).network_._state.rules) == kept


def test_a_fit_forgets_the_first_rows_of_a_stream_before():
    model = classifier().partial_fit(X[:100], Y[:100], [0, 1])
    fitted(model, cut(4))
    scales = model.network_.scales
    model.partial_fit(X[:500], Y[:500])
    assert model.network_.scales == scales


def test_validation_rows_here_stop_early_and_keep_the_best():
    model = classifier(early_stopping=True, max_iter=6, tol=0.5, n_iter_no_change=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted(model, cut(4), lambda fit: model._validation(fit.sample_here, X, Y, None, None, None))
    assert model.n_iter_ < 6
    assert len(model.validation_scores_) == model.n_iter_


def test_validation_parts_give_the_same_loss():
    whole = fitted(classifier(), cut(4), lambda fit: fit.draft._validation(fit.sample_here, X, Y, None, None, None))
    parts = fitted(classifier(), cut(4), cut(3))
    assert parts.validation_scores_ == pytest.approx(whole.validation_scores_, rel=1e-6)


@pytest.mark.parametrize("params", [{}, {"class_weight": "balanced"}], ids=str)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weights"])
def test_validation_parts_may_have_weights_of_their_own(weighted, params):
    weight = np.where(np.arange(N_ROWS) % 3, 2.0, 0.0)
    rare = (SIGNAL > np.quantile(SIGNAL, 0.8)).astype(int)
    train = cut(4, X, rare, weight=weight if weighted else None)
    whole = fitted(
        classifier(**params), train, lambda fit: fit.draft._validation(fit.sample_here, X, rare, weight, None, None)
    )
    parts = fitted(classifier(**params), train, cut(3, X, rare, weight=weight))
    assert parts.validation_scores_ == pytest.approx(whole.validation_scores_, rel=1e-6)


@pytest.mark.parametrize("some", [{"edges": [0, 0, 0]}, {"weight": np.zeros(N_ROWS)}], ids=["rows", "weights"])
def test_validation_parts_without_any_row_that_counts(some):
    with pytest.raises(ValueError, match="X_val has no rows"):
        fitted(classifier(), cut(4), cut(2, **some))


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"optimizer": "adagrad", "alpha": 1e-4},
        {"hidden_layer_sizes": (4,)},
        {"alpha": 1e-4, "l1_ratio": 0.5},
        {"network": factorization_machine(4)},
        {"network": field_aware_factorization_machine({"a": slice(0, 1000), "b": slice(1000, None)})},
        {"network": beside_a_hidden_layer()},
    ],
)
@pytest.mark.parametrize("classes", [2, 3])
def test_nets_cut_to_columns_train_to_the_same_weights(params, classes, monkeypatch):
    y = np.digitize(SIGNAL, [0] if classes == 2 else [-0.3, 0.3])
    wide = sparse.csr_matrix((X.data, X.indices * 200 + 7, X.indptr), (N_ROWS, N_COLUMNS * 200 + 100))
    found = []
    for worthwhile in (1, 10**9):
        monkeypatch.setattr(narrow, "WORTHWHILE", worthwhile)
        found.append(fitted(classifier(max_iter=2, **params), cut(3, wide, y)).decision_function(wide))
    np.testing.assert_array_equal(*found)


def test_the_gain_of_a_net_cut_to_columns_is_its_own_array(monkeypatch):
    monkeypatch.setattr(narrow, "WORTHWHILE", 1)
    shared, taken = [], narrow.Narrow.taken

    def noting(self, network, state):
        gain = taken(self, network, state)
        shared.append(np.shares_memory(gain.layers[0].record, network._state.parameters[0].record))
        return gain

    monkeypatch.setattr(narrow.Narrow, "taken", noting)
    wide = sparse.csr_matrix((X.data, X.indices * 200 + 7, X.indptr), (N_ROWS, N_COLUMNS * 200 + 100))
    fitted(classifier(max_iter=1), cut(3, wide))
    assert shared and all(shared)
