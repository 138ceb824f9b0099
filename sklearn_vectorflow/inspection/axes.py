"""Matplotlib, which is not needed by anything else."""


def axes_of(display, ax):
    """Return axes to draw on: those given, or new ones.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        name = type(display).__name__
        raise ImportError(f"{name}.plot needs matplotlib: pip install 'sklearn-vectorflow[plot]'.") from error
    return plt.subplots(layout="constrained")[1] if ax is None else ax
