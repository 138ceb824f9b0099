# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Records that were trained apart from a common state, merged one after the other: nothing stands in between."""
import numpy as np

from libc.math cimport copysign, expm1, fabs, fmax, fmin, log, sqrt
from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from sklearn_vectorflow.engine.net.plan import RULES

ctypedef fused Own:
    int32_t
    int64_t

cdef double NOTHING = 1e-12  # share of a weight that rounding leaves of it

cdef enum:
    FIXED
    SGD
    ADAGRAD
    ROWWISE
    ADAM
    FTRL
    ADAM_ROWWISE
    MOST_TOUCHES = 1 << 24  # that single precision counts
    ALL_THE_WAY = 50  # a pull after which nothing is left


cdef struct Rule:
    int kind
    bint apart, is_timed, has_steps
    int64_t n_out, n_learned, n_moved, slot1, slot2, row, clock, average, stride
    double rate, epsilon, beta


cdef struct Penalty:
    double lower, upper, l1, l2
    const double *center
    int64_t step_center  # 0 where all weights of the record have one centre


cdef struct Trained:
    const void *index    # of the numbers' type
    const float *record
    const float *missed  # what the common records have become without a gradient; NULL where they stayed as they were
    int64_t n, at, next  # the place of the next record and its number, -1 behind the last
    double steps, elapsed


cdef struct Touched:
    const float *record
    const float *missed  # the common record where it stayed as it was
    const Trained *by
    double rho, pull     # how far gradients, and penalties alone, took a weight on the way to where they lead
    double stiff         # the inverse of its step size


cdef inline double progress(double rho) noexcept nogil:
    cdef double square = rho * rho
    if rho < 0.5:  # to single precision, and sooner
        return 1.0 + 0.5 * rho + square * (1.0 / 12.0 - square * (1.0 / 720.0 - square / 30240.0))
    return rho / -expm1(-rho)


def progress_weight(double rho):
    r"""Return :math:`\rho / (1 - e^{-\rho})`, 1 where nothing was learned.

    A weight that learns from information worth rho goes the share :math:`1 - e^{-\rho}` of the way to its
    optimum. So gains of many, each relative to its own share, make the way of all of them together.
    """
    return progress(rho)


cdef inline double information(const Rule *o, const float *record, int64_t c) noexcept nogil:
    """How much a weight, or a record, has learned from: squared gradients, or for Adam touches."""
    cdef double r
    if o.kind == FTRL:
        r = record[o.slot2 + c]
        return r * r
    if o.kind == ADAM or o.kind == ADAM_ROWWISE:
        return record[o.row]
    if o.kind == ADAGRAD or o.kind == ROWWISE:
        r = record[o.slot1 + c] if o.kind == ADAGRAD else record[o.row]
        r = 1.0 / (r * r) - o.epsilon if r != 0.0 else 0.0
        return r if r > 0.0 else 0.0
    return 0.0


cdef inline double stiffness(const Rule *o, double learned, double steps, double l2) noexcept nogil:
    """The inverse of the step size."""
    if o.kind == FTRL:
        return (o.beta + sqrt(learned)) / o.rate + steps * l2
    if o.kind == ADAGRAD or o.kind == ROWWISE:
        return sqrt(o.epsilon + learned) / o.rate
    return 1.0


cdef inline double center_of(const Penalty *penalty, int64_t c) noexcept nogil:
    return penalty.center[c * penalty.step_center]


cdef inline double weight(const Rule *o, const float *record, int64_t c, double stiff, double steps,
                          const Penalty *penalty) noexcept nogil:
    cdef double z, size, now
    if o.kind != FTRL:
        return record[c]
    z = record[o.slot1 + c]
    size = fabs(z) - steps * penalty.l1
    now = center_of(penalty, c) - copysign((size if size > 0.0 else 0.0) / stiff, z)
    return penalty.lower if now < penalty.lower else penalty.upper if now > penalty.upper else now


cdef inline double pull(double before, double after) noexcept nogil:
    """How far penalties alone take a weight to their centre, as rho says it of gradients; both are distances from it."""
    before, after = fabs(before), fabs(after)
    if not after < before:
        return 0.0
    return fmin(log(before / after), ALL_THE_WAY) if after > 0.0 else ALL_THE_WAY


cdef inline double log_of_one_and(double x) noexcept nogil:
    return x * (6.0 + x) / (6.0 + 4.0 * x) if x < 0.1 else log(1.0 + x)


cdef inline int64_t moved(const Rule *o, int64_t k, int64_t c) noexcept nogil:
    """Where in a record the k-th number is that moves with a weight."""
    if k == 0:
        return o.slot1 + c
    return o.slot2 + c if o.kind == ADAM else o.row + 1


cdef inline double ftrl_sum(const Penalty *penalty, int64_t c, double now, double stiff, double steps,
                            double shared) noexcept nogil:
    """The sum whose closed form is a weight; where the weight rests, what the sum moved to, within what holds it."""
    cdef double distance = center_of(penalty, c) - now, threshold = steps * penalty.l1
    cdef double exact = distance * stiff + copysign(threshold, distance)
    if now >= penalty.upper:
        return fmin(shared, exact)
    if now <= penalty.lower:
        return fmax(shared, exact)
    return fmin(fmax(shared, -threshold), threshold) if distance == 0.0 else exact


cdef inline bint differ(const float *one, const float *other, int64_t n) noexcept nogil:
    cdef int64_t c
    cdef uint32_t found = 0
    for c in range(n):
        found |= (<const uint32_t *>one)[c] ^ (<const uint32_t *>other)[c]
    return found != 0


cdef inline int64_t number_at(const Trained *one, Own kind) noexcept nogil:
    return (<const Own *>one.index)[one.at] if one.at < one.n else -1


cdef inline const float *taken(Trained *one, int64_t stride, Own kind) noexcept nogil:
    """The next record; the one behind it is next then."""
    cdef const float *record = one.record + one.at * stride
    one.at += 1
    one.next = number_at(one, kind)
    return record


cdef Trained trained_of(tuple given, Own kind):
    """What a tuple of `Merge.records` says; who calls keeps that alive."""
    cdef Trained one
    cdef const Own[::1] index = given[0]
    cdef const float[:, ::1] record = given[1]
    cdef const float[:, ::1] rest
    missed, steps, elapsed = given[2:]
    one.n, one.at, one.next, one.index, one.record, one.missed = index.shape[0], 0, -1, NULL, NULL, NULL
    one.steps, one.elapsed = steps, elapsed
    if one.n:
        one.index, one.record, one.next = &index[0], &record[0, 0], index[0]
        if missed is not None:
            rest = missed
            one.missed = &rest[0, 0]
    return one


cdef struct Penalties:
    const double *lower
    const double *upper
    const double *l1
    const double *l2
    const double *centers
    int64_t step_lower, step_upper, step_l1, step_l2, step_centers, step_center


cdef inline Penalty penalty_at(const Penalties *of, int64_t i) noexcept nogil:
    return Penalty(of.lower[i * of.step_lower], of.upper[i * of.step_upper], of.l1[i * of.step_l1],
                   of.l2[i * of.step_l2], of.centers + i * of.step_centers, of.step_center)


cdef class Merge:
    """The merge of one layer's records, or of its intercepts.

    Parameters
    ----------
    rule : str
    layout : Layout
    numbers : dict
        Of the optimizer.
    step, elapsed, average_from : int, float and int
        Of the common state.
    coupling : float
        How many times over a weight's own information its optimum depends on what the other weights gained.
    """

    cdef Rule rule
    cdef double step, elapsed, average_from, coupling, stiff
    cdef object memory  # for numbers of one record, which serve one after the other
    cdef double *learned
    cdef double *first
    cdef double *weights
    cdef double *shared[2]

    def __init__(self, rule, layout, dict numbers, step, elapsed, average_from, double coupling):
        cdef Rule *o = &self.rule
        o.kind = RULES.index(rule)
        o.n_out, o.slot1, o.slot2, o.row = layout.n_out, layout.slot1, layout.slot2, layout.row
        o.clock, o.average, o.stride, o.apart = layout.clock, layout.average, layout.stride, layout.apart
        o.is_timed, o.has_steps = layout.is_timed, layout.clock_size > layout.is_timed
        o.rate, o.epsilon = numbers.get("learning_rate", 1.0), numbers.get("epsilon", 0.0)
        o.beta = numbers.get("beta", 0.0)
        o.n_learned = o.n_out if o.kind == ADAGRAD or o.kind == FTRL else 1
        o.n_moved = 2 if o.kind == ADAM or o.kind == ADAM_ROWWISE else 1 if o.kind == FTRL else 0
        self.step, self.elapsed, self.average_from, self.coupling = step, elapsed, average_from, coupling
        self.memory = np.empty((5, o.n_out))
        cdef double[:, ::1] memory = self.memory
        self.learned, self.first, self.weights = &memory[0, 0], &memory[1, 0], &memory[2, 0]
        self.shared[0], self.shared[1] = &memory[3, 0], &memory[4, 0]

    def records(self, tuple base, list states, tuple penalty, const Own[::1] every, Own[::1] index,
                float[:, ::1] record):
        """Merge records; write those that the base has or that a gradient changed, and return how many there are.

        Parameters
        ----------
        base : tuple of (ndarray of shape (n,), ndarray of shape (n, stride))
            Which records it has, increasing, and those.
        states : list of tuple of (ndarray, ndarray, ndarray or None, int, float)
            The same of each state, what the common records have become meanwhile without a gradient (None if they
            stayed as they were), the steps that it took and the sum of their rates.
        penalty : tuple of (lower, upper, l1, l2, centers)
            Bounds and strengths, of shape (1,) or one for each of `every`, and centres, of shape (1, 1) or (m, n_out).
        every : ndarray of shape (m,)
            All that the base or a state has, increasing.
        index, record : ndarrays of shape (m,) and (m, stride)
            Written.
        """
        cdef int64_t n_states = len(states), stride = self.rule.stride, n_every = every.shape[0], k, n
        cdef const double[::1] lower = penalty[0], upper = penalty[1], l1 = penalty[2], l2 = penalty[3]
        cdef const double[:, ::1] centers = penalty[4]
        cdef const float[::1] absent = np.zeros(stride, dtype=np.float32)
        cdef Penalties all_of_them = Penalties(
            &lower[0], &upper[0], &l1[0], &l2[0], &centers[0, 0], lower.shape[0] > 1, upper.shape[0] > 1,
            l1.shape[0] > 1, l2.shape[0] > 1, centers.shape[1] if centers.shape[0] > 1 else 0, centers.shape[1] > 1
        )
        if not n_every:
            return 0
        cdef Trained *trained = <Trained *>malloc((n_states + 1) * sizeof(Trained))
        cdef Touched *touched = <Touched *>malloc((n_states + 1) * sizeof(Touched))
        try:
            if not trained or not touched:
                raise MemoryError
            for k in range(n_states):
                trained[k] = trained_of(<tuple>states[k], every[0])
            trained[n_states] = trained_of((*base, None, 0, 0.0), every[0])
            with nogil:
                n = merged(self, trained, touched, n_states, &all_of_them, &absent[0], every, index, record)
        finally:
            free(trained)
            free(touched)
        return n

    cdef void combine(self, Touched *touched, int64_t n_touched, const float *before, const Penalty *penalty,
                      float *out) noexcept nogil:
        """Merge what several states made of a record."""
        cdef const Rule *o = &self.rule
        cdef int64_t g, c, size = 1 if o.n_learned == o.n_out else o.n_out, t
        cdef double steps = self.step, elapsed = self.elapsed
        memcpy(out, before, o.stride * sizeof(float))
        for t in range(n_touched):
            steps += touched[t].by.steps
            elapsed += touched[t].by.elapsed
        for g in range(o.n_learned):
            self.learn(touched, n_touched, before, penalty, steps, g, size)
        self.write(penalty, steps, out)
        self.stamp(steps, elapsed, out)
        if o.average >= 0:
            self.average(touched, n_touched, before, steps, out)

    cdef void learn(self, Touched *touched, int64_t n_touched, const float *before, const Penalty *penalty,
                    double steps, int64_t g, int64_t size) noexcept nogil:
        """Merge the weights that share the g-th sum, and what moves with them."""
        cdef const Rule *o = &self.rule
        cdef double learned = information(o, before, g), stiff = stiffness(o, learned, self.step, penalty.l2)
        cdef double way = 0.0, gains = 0.0, of_learned = 0.0, own, gain, now_stiff, share
        cdef int64_t first = g * size, last = first + size, c, k, t
        cdef const float *row
        self.stiff = stiff
        for c in range(first, last):
            self.first[c] = weight(o, before, c, stiff, self.step, penalty)
            self.shared[0][c] = self.shared[1][c] = 0.0
        for t in range(n_touched):
            row = touched[t].record
            own = information(o, row, g)
            gain = fmax(own - learned, 0.0) if o.kind != SGD else touched[t].by.steps
            touched[t].stiff = stiffness(o, own, self.step + touched[t].by.steps, penalty.l2)
            now_stiff = touched[t].stiff
            if own < learned:
                now_stiff = stiffness(o, learned, self.step + touched[t].by.steps, penalty.l2)
            touched[t].rho = self.coupling * 2.0 * gain / (stiff + now_stiff)
            way += touched[t].rho
            gains += gain
            of_learned += progress(touched[t].rho) * gain
            for c in range(first, last if o.n_moved else first):
                for k in range(o.n_moved):
                    self.shared[k][c] += gain * (<double>row[moved(o, k, c)] - before[moved(o, k, c)])
        self.learned[g] = learned + of_learned / progress(way)
        gains = fmax(gains, 1e-300)
        for c in range(first, last if o.n_moved else first):
            for k in range(o.n_moved):
                self.shared[k][c] = before[moved(o, k, c)] + self.shared[k][c] / gains
        if penalty.l1 == 0.0:  # L2 takes all weights of one rate as far
            self.move(touched, n_touched, before, penalty, steps, way, first, last)
            return
        for c in range(first, last):
            self.move(touched, n_touched, before, penalty, steps, way, c, c + 1)

    cdef void move(self, Touched *touched, int64_t n_touched, const float *before, const Penalty *penalty,
                   double steps, double way, int64_t first, int64_t last) noexcept nogil:
        """Merge weights that penalties alone take as far.

        Gains add up, but what penalties leave multiplies: so they are a part of the way, which ends at their centre.
        """
        cdef const Rule *o = &self.rule
        cdef int64_t c, t
        cdef double pulls = 0.0, of_all, factor, share, both, own_steps, distance
        cdef const float *row
        for t in range(n_touched):
            touched[t].pull = self.pulled(&touched[t], before, penalty, first, last)
            pulls += touched[t].pull
        of_all = self.pulled_in_all(before, penalty, steps, first) if o.kind == FTRL and pulls > 0.0 else pulls
        factor = of_all / pulls if pulls > 0.0 else 1.0
        for c in range(first, last):
            self.weights[c] = 0.0
        for t in range(n_touched):
            row, own_steps = touched[t].record, self.step + touched[t].by.steps
            both = touched[t].rho + touched[t].pull
            share = progress(both)
            if factor != 1.0 and both > 0.0:
                share *= (touched[t].rho + factor * touched[t].pull) / both
            for c in range(first, last):
                self.weights[c] += share * (weight(o, row, c, touched[t].stiff, own_steps, penalty) - self.first[c])
        share = progress(way + of_all)
        for c in range(first, last):
            self.weights[c] = self.first[c] + self.weights[c] / share
            distance = center_of(penalty, c) - self.weights[c]
            if fabs(distance) < NOTHING * fabs(center_of(penalty, c) - self.first[c]):
                self.weights[c] = center_of(penalty, c)

    cdef double pulled(self, const Touched *one, const float *before, const Penalty *penalty, int64_t first,
                       int64_t last) noexcept nogil:
        """How far penalties alone took some weights during the steps of a state."""
        cdef double distance = 0.0, left = 0.0
        cdef int64_t c
        if self.rule.kind == FTRL:
            return self.pulled_in_all(before, penalty, self.step + one.by.steps, first)
        if one.missed == before:
            return 0.0
        for c in range(first, last):
            distance += (before[c] - center_of(penalty, c)) ** 2
            left += (one.missed[c] - center_of(penalty, c)) ** 2
        return pull(sqrt(distance), sqrt(left))

    cdef double pulled_in_all(self, const float *before, const Penalty *penalty, double steps, int64_t c) noexcept nogil:
        """How far penalties alone take a weight of FTRL up to a step."""
        cdef const Rule *o = &self.rule
        cdef double stiff, center = center_of(penalty, c)
        if penalty.l1 == 0.0:
            return log_of_one_and((steps - self.step) * penalty.l2 / self.stiff)
        stiff = self.stiff + (steps - self.step) * penalty.l2
        return pull(self.first[c] - center, weight(o, before, c, stiff, steps, penalty) - center)

    cdef void write(self, const Penalty *penalty, double steps, float *out) noexcept nogil:
        """Write weights, and what the optimizer knows."""
        cdef const Rule *o = &self.rule
        cdef int64_t c
        for c in range(0 if o.apart else o.n_out):
            out[c] = self.weights[c]
        if o.kind == ROWWISE:
            out[o.row] = 1.0 / sqrt(o.epsilon + self.learned[0])
        if o.kind == ADAM or o.kind == ADAM_ROWWISE:
            out[o.row] = fmin(self.learned[0], MOST_TOUCHES)
        for c in range(o.n_out):
            if o.kind == ADAGRAD:
                out[o.slot1 + c] = 1.0 / sqrt(o.epsilon + self.learned[c])
            elif o.kind == FTRL:
                out[o.slot1 + c] = ftrl_sum(penalty, c, self.weights[c],
                                            stiffness(o, self.learned[c], steps, penalty.l2), steps, self.shared[0][c])
                out[o.slot2 + c] = sqrt(self.learned[c])
            elif o.n_moved:
                out[moved(o, 0, c)] = self.shared[0][c]
                out[moved(o, 1, c)] = fmax(self.shared[1][c], 0.0)

    cdef void stamp(self, double steps, double elapsed, float *out) noexcept nogil:
        """Say up to which step, and which sum of rates, a record has caught up, see `network.records.stamp`."""
        cdef const Rule *o = &self.rule
        if o.clock >= 0 and o.is_timed:
            out[o.clock] = elapsed
        if o.clock >= 0 and o.has_steps:
            (<uint32_t *>out)[o.clock + o.is_timed] = <uint32_t><int64_t>steps

    cdef void average(self, const Touched *touched, int64_t n_touched, const float *before, double steps,
                      float *out) noexcept nogil:
        """Let the sums behind running means add up."""
        cdef const Rule *o = &self.rule
        cdef double counted = fmax(self.step - self.average_from, 0.0), total = fmax(steps - self.average_from, 0.0)
        cdef double of_means, own
        cdef int64_t c, t
        for c in range(o.n_out):
            of_means = before[o.average + c] * counted
            for t in range(n_touched):
                own = fmax(self.step + touched[t].by.steps - self.average_from, 0.0)
                of_means += touched[t].record[o.average + c] * own - before[o.average + c] * counted
            out[o.average + c] = of_means / total if total > 0 else self.weights[c]


cdef int64_t merged(Merge merge, Trained *trained, Touched *touched, int64_t n_states, const Penalties *penalties,
                    const float *absent, const Own[::1] every, Own[::1] index, float[:, ::1] record) noexcept nogil:
    """Walk over all records, and in each state over its own."""
    cdef int64_t i, k, n_touched, n = 0, stride = merge.rule.stride
    cdef Trained *base = trained + n_states
    cdef const float *before
    cdef const float *row
    cdef const float *missed
    cdef Penalty penalty
    cdef bint is_there
    for i in range(every.shape[0]):
        is_there = base.next == every[i]
        before = taken(base, stride, every[i]) if is_there else absent
        n_touched = 0
        for k in range(n_states):
            if trained[k].next != every[i]:
                continue
            missed = trained[k].missed + trained[k].at * stride if trained[k].missed else before
            row = taken(&trained[k], stride, every[i])
            if differ(row, missed, stride):
                touched[n_touched] = Touched(row, missed, &trained[k], 0.0, 0.0, 0.0)
                n_touched += 1
        if not is_there and not n_touched:
            continue
        index[n] = every[i]
        if n_touched > 1:
            penalty = penalty_at(penalties, i)
            merge.combine(touched, n_touched, before, &penalty, &record[n, 0])
        else:
            memcpy(&record[n, 0], touched[0].record if n_touched else before, stride * sizeof(float))
        n += 1
    return n
