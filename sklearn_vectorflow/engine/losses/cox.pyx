# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Cox's partial likelihood of a block of rows. The formula stands in sklearn_vectorflow/losses/cox.py.

Targets are (event, time), or (event, time, entry) where rows enter late; parameters (1 for
Efron's or 0 for Breslow's treatment of ties). A row is at risk in (entry, time]. Rows come in
any order; those whose times fall need no sorting.
"""
from libc.math cimport NAN, exp, fmax, log
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc, qsort

from sklearn_vectorflow.engine.contract cimport vf_loss, vf_loss_fn
from sklearn_vectorflow.engine.losses.capsule cimport make_capsule


cdef struct Subject:
    double time, event, weight, raw
    double risk     # weight * exp(raw), up to a factor of the block
    double hazard   # that sets in at this row's time, in the last row of that time
    int64_t row

cdef struct Entry:
    double time, risk
    int64_t row

cdef struct Ties:
    double risk           # of all at risk
    double dying, weight  # of those who have their event now
    int64_t n


cdef int latest_first(const void *a, const void *b) noexcept nogil:
    cdef double s = (<const Subject *>a).time, t = (<const Subject *>b).time
    return (s < t) - (s > t)


cdef int latest_entry_first(const void *a, const void *b) noexcept nogil:
    cdef double s = (<const Entry *>a).time, t = (<const Entry *>b).time
    return (s < t) - (s > t)


cdef double at_ties(Ties ties, bint efron, double *hazard, double *spared) noexcept nogil:
    """Sum of the log denominators at one time; adds to the hazard of all at risk, and to
    what of it those are spared who have their event now."""
    cdef int64_t k, n = ties.n if efron else 1
    cdef double total = 0.0, each = ties.weight / n, share, denominator
    for k in range(n):
        share = <double>k / n
        denominator = ties.risk - share * ties.dying
        total += each * log(denominator)
        hazard[0] += each / denominator
        spared[0] += share * each / denominator
    return total


cdef double partial_likelihood(Subject *subjects, int64_t n, Entry *entries, int64_t n_entries, bint efron,
                               double largest, double *gradient) noexcept nogil:
    """From the last time to the first the sums over those at risk grow by those who leave, and
    shrink by those who enter; on the way back hazards add up."""
    cdef int64_t k, start = 0, end, entered = 0
    cdef double total = 0.0, hazard, spared, passed = 0.0
    cdef Ties ties = Ties(0.0, 0.0, 0.0, 0)
    cdef Subject *one
    while start < n:
        end = start
        ties.dying = ties.weight = 0.0
        ties.n = 0
        while end < n and subjects[end].time == subjects[start].time:
            one = &subjects[end]
            ties.risk += one.risk
            if one.event > 0.0 and one.weight > 0.0:
                ties.dying += one.risk
                ties.weight += one.weight
                ties.n += 1
                total -= one.weight * (one.raw - largest)
            end += 1
        while entered < n_entries and entries[entered].time >= subjects[start].time:
            ties.risk -= entries[entered].risk
            entered += 1
        if ties.risk < ties.dying:  # what is left may be less than what rounding took; NaN stays
            ties.risk = ties.dying
        hazard = spared = 0.0
        if ties.n > 0:
            total += at_ties(ties, efron, &hazard, &spared)
        for k in range(start, end):
            one = &subjects[k]
            gradient[one.row] = -one.event * (one.weight + spared * one.risk)
        subjects[end - 1].hazard = hazard
        start = end
    entered = n_entries - 1
    for k in range(n - 1, -1, -1):
        while entered >= 0 and entries[entered].time < subjects[k].time:
            gradient[entries[entered].row] -= passed * entries[entered].risk
            entered -= 1
        passed += subjects[k].hazard
        gradient[subjects[k].row] += passed * subjects[k].risk
    return total


cdef double cox(int64_t n, const double *y, const double *raw, const double *weight,
                double *gradient, const vf_loss *loss) noexcept nogil:
    cdef int64_t r, n_targets = loss.n_targets, n_entries = 0
    cdef bint in_order = True
    cdef double total, largest = raw[0], risk
    cdef Subject *subjects = <Subject *>malloc(n * (sizeof(Subject) + sizeof(Entry)))
    cdef Entry *entries = <Entry *>(subjects + n)
    if subjects == NULL:
        return NAN
    for r in range(n):
        largest = fmax(largest, raw[r])
    for r in range(n):
        risk = weight[r] * exp(raw[r] - largest)
        subjects[r] = Subject(y[n_targets * r + 1], y[n_targets * r], weight[r], raw[r], risk, 0.0, r)
        in_order &= r == 0 or subjects[r].time <= subjects[r - 1].time
        if n_targets > 2 and y[n_targets * r + 2] > 0.0:
            entries[n_entries] = Entry(y[n_targets * r + 2], risk, r)
            n_entries += 1
    if not in_order:
        qsort(subjects, n, sizeof(Subject), latest_first)
    qsort(entries, n_entries, sizeof(Entry), latest_entry_first)
    total = partial_likelihood(subjects, n, entries, n_entries, loss.parameters[0] > 0.0, largest, gradient)
    free(subjects)
    return total


KERNELS = {"cox": make_capsule(cox)}
