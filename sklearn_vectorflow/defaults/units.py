"""Which units of X and y single precision can work with."""

from sklearn_vectorflow.validation.errors import warn

RANGE = 1e-15, 1e15  # of lengths, raw outputs and their product, whose square is a typical gradient's
LENGTHS_OF_NETS = 0.03, 30.0  # for which the weights that nets start from are made
OUTPUTS_OF_NETS = 0.05, 1e3
FARTHEST = 1e6  # from zero, in units of raw outputs, where single precision still tells them apart


def check_units(length, output, center, is_linear):
    """Refuse units that steps of single precision can't work with; warn of those that nets are not made for.

    Parameters
    ----------
    length : float
        Typical Euclidean length of the rows of X.
    output : float
        Typical size of raw outputs, which for losses in units of y is the standard deviation of y.
    center : float
        The distance from zero of a constant model's raw outputs, about the mean of y.
    is_linear : bool

    Raises
    ------
    ValueError
        If a unit is beyond single precision.

    Warns
    -----
    UserWarning
        If a net's initial weights and steps do not suit the units, or y is far from zero.
    """
    found = (("X", "the median length of its rows", length), ("y", "its standard deviation", output))
    for name, what, size in found:
        if not RANGE[0] <= size <= RANGE[1]:
            raise ValueError(
                f"{name} is beyond the units that single precision works with: {what} is {size:.3g}, and must be in "
                f"[{RANGE[0]:g}, {RANGE[1]:g}]. Multiply {name} by a constant that brings it near 1."
            )
    if not RANGE[0] <= length * output <= RANGE[1]:
        raise ValueError(
            "X and y together are beyond the units that single precision works with: the median length of rows is "
            f"{length:.3g} and the standard deviation of y {output:.3g}. Multiply both by constants that bring them "
            "near 1."
        )
    if center > RANGE[1]:
        raise ValueError(
            f"y is beyond the units that single precision works with: its values are about {center:.3g}, and must be "
            f"below {RANGE[1]:g}. Divide y by a constant."
        )
    if center > FARTHEST * output:
        warn(
            f"y is about {center:.3g} but varies by {output:.3g}, which is little for single precision: subtract the "
            "mean from y."
        )
    if is_linear:
        return
    for (name, what, size), (low, high) in zip(found, (LENGTHS_OF_NETS, OUTPUTS_OF_NETS)):
        if not low <= size <= high:
            warn(
                f"Nets start from weights, and take steps, for {name} of about unit size, but {what} is {size:.3g}: "
                f"the fit may be poor. Scale {name} to bring it near 1.",
            )
