# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Sums over states of what their records gained; see sklearn_vectorflow/merging/shares.py for what they are."""
from libc.math cimport copysign, expm1, fabs, sqrt
from libc.stdint cimport int64_t, uint32_t

from sklearn_vectorflow.engine.net.plan import RULES

cdef enum:
    FIXED
    SGD
    ADAGRAD
    ROWWISE
    ADAM
    FTRL
    ADAM_ROWWISE


cdef struct Numbers:
    int kind
    int n_out, slot1, slot2, row
    double rate, epsilon, beta
    double steps       # taken by the state since the start
    double new_steps   # since the common state


cdef inline double progress(double rho) noexcept nogil:
    return 1.0 + 0.5 * rho if rho < 1e-8 else rho / -expm1(-rho)


cdef inline double information(const Numbers *o, const float *record, int64_t c) noexcept nogil:
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


cdef inline double stiffness(const Numbers *o, double learned, double l2) noexcept nogil:
    if o.kind == FTRL:
        return (o.beta + sqrt(learned)) / o.rate + o.steps * l2
    if o.kind == ADAGRAD or o.kind == ROWWISE:
        return sqrt(o.epsilon + learned) / o.rate
    return 1.0


cdef inline double weight(const Numbers *o, const float *record, int64_t c, double learned, double l1, double l2,
                          double center, double lower, double upper) noexcept nogil:
    cdef double size, now
    if o.kind != FTRL:
        return record[c]
    size = fabs(record[o.slot1 + c]) - o.steps * l1
    now = center - copysign((size if size > 0.0 else 0.0) / stiffness(o, learned, l2), record[o.slot1 + c])
    return lower if now < lower else upper if now > upper else now


def add_gains(rule, layout, dict numbers, const double[::1] lower, const double[::1] upper, double coupling, double steps,
              double new_steps,
              const int64_t[::1] at, const float[:, ::1] record, const float[:, ::1] missed, bint stayed,
              const float[:, ::1] before,
              double[:, ::1] learned, double[:, ::1] weights, double[:, ::1] stiff,
              const double[::1] l1, const double[::1] l2, const double[:, ::1] centers,
              int64_t[::1] count, float[:, ::1] last, double[:, ::1] way, double[:, ::1] gains,
              double[:, ::1] of_weights, double[:, ::1] of_learned, double[:, :, :] of_state,
              const int64_t[:, ::1] moved):
    """Add what the records of a state gained, where a gradient changed them.

    Parameters
    ----------
    rule : str
    layout : Layout
    numbers : dict
        Of the optimizer.
    lower, upper : ndarray of shape (1,) or (m,)
        Smallest and largest weights allowed.
    coupling : float
    steps, new_steps : float
        Steps the state has taken in all, and since the common state.
    at : ndarray of shape (n,)
        Which of the common records the state's are.
    record, missed : ndarray of shape (n, stride)
        The state's records, and what the common ones have become without a gradient.
    stayed : bool
        Whether `missed` are the common records, as they were.
    before : ndarray of shape (m, stride)
        The common records.
    learned, stiff : ndarray of shape (m, n_learned)
        Their information and inverse step sizes, written where a state is the first to touch a record.
    weights : ndarray of shape (m, n_out)
        Written there too.
    l1, l2 : ndarray of shape (1,) or (m,)
        Strengths.
    centers : ndarray of shape (1, 1) or (m, n_out)
    count : ndarray of int64, shape (m,)
        How many states have touched a record. Where it is zero, the other sums are begun.
    last, way, gains, of_weights, of_learned, of_state
        The sums.
    moved : ndarray of int, shape (len(of_state), n_out)
        Where in a record numbers are that move with the weights.

    Returns
    -------
    touched : ndarray of bool, shape (n,)
    """
    cdef Numbers o
    cdef int64_t i, p, c, g, k, stride = record.shape[1], n_learned = learned.shape[1]
    cdef int64_t step_l1 = l1.shape[0] > 1, step_l2 = l2.shape[0] > 1, step_center = centers.shape[0] > 1
    cdef const float *row
    cdef const float *rest
    cdef int64_t step_lower = lower.shape[0] > 1, step_upper = upper.shape[0] > 1
    cdef double own, gain, rho, share, strength1, strength2, center, now
    cdef bint same
    o.kind = RULES.index(rule)
    o.n_out, o.slot1, o.slot2, o.row = layout.n_out, layout.slot1, layout.slot2, layout.row
    o.rate, o.epsilon, o.beta = numbers.get("learning_rate", 1.0), numbers.get("epsilon", 0.0), numbers.get("beta", 0.0)
    o.steps, o.new_steps = steps, new_steps
    cdef Numbers first = o
    first.steps = steps - new_steps
    touched = bytearray(at.shape[0])
    cdef unsigned char[::1] marks = touched
    with nogil:
        for i in range(at.shape[0]):
            p = at[i]
            row, rest = &record[i, 0], &missed[p if stayed else i, 0]
            same = True
            for c in range(stride):
                same &= (<const uint32_t *>row)[c] == (<const uint32_t *>rest)[c]
            if same:
                continue
            marks[i] = 1
            for c in range(stride):
                last[p, c] = row[c]
            strength1, strength2 = l1[p * step_l1], l2[p * step_l2]
            if count[p] == 0:
                for g in range(n_learned):
                    own = learned[p, g] = information(&first, &before[p, 0], g)
                    stiff[p, g] = stiffness(&first, own, strength2)
                    way[p, g] = gains[p, g] = of_learned[p, g] = 0.0
                    for c in range(g if n_learned > 1 else 0, g + 1 if n_learned > 1 else o.n_out):
                        center = centers[p * step_center, c if step_center else 0]
                        weights[p, c] = weight(&first, &before[p, 0], c, own, strength1, strength2, center,
                                               lower[p * step_lower], upper[p * step_upper])
                        of_weights[p, c] = 0.0
                        for k in range(of_state.shape[0]):
                            of_state[k, p, c] = 0.0
            count[p] += 1
            for g in range(n_learned):
                own = information(&o, row, g)
                gain = own - learned[p, g] if o.kind != SGD else o.new_steps
                gain = gain if gain > 0.0 else 0.0
                rho = coupling * 2.0 * gain / (stiff[p, g] + stiffness(&o, learned[p, g] + gain, strength2))
                share = progress(rho)
                way[p, g] += rho
                gains[p, g] += gain
                of_learned[p, g] += share * gain
                for c in range(g if n_learned > 1 else 0, g + 1 if n_learned > 1 else o.n_out):
                    center = centers[p * step_center, c if step_center else 0]
                    now = weight(&o, row, c, own, strength1, strength2, center, lower[p * step_lower],
                                 upper[p * step_upper])
                    of_weights[p, c] += share * (now - weights[p, c])
                    for k in range(of_state.shape[0]):
                        of_state[k, p, c] += gain * (<double>row[moved[k, c]] - before[p, moved[k, c]])
    return touched
