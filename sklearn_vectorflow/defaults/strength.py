"""How strong the penalty is by default."""

from sklearn_vectorflow.defaults.scales import FEWEST_TERMS


def default_strength(scales, n_terms, is_linear):
    """Return what alpha=None stands for.

    For linear models it is a weak prior, which weighs less the more rows there are; for nets
    1e-6.

    Parameters
    ----------
    scales : Scales
    n_terms : int or None
        Losses in the mean; None if others may follow: the strength is then 0.
    is_linear : bool
    """
    if not is_linear:
        return 1e-6
    return 0.0 if n_terms is None else scales.prior / max(n_terms, FEWEST_TERMS)
