"""The default of early stopping."""

FEWEST_ROWS = 10_000  # a tenth of them suffices to find the best epoch, and training hardly misses it
FEW_WEIGHTS = 0.1  # share of the rows: so few weights hardly fit noise, and training needs all rows
FEWEST_OF_WIDE, MANY_WEIGHTS = 1000, 10.0  # so many weights per row fit the noise of fewer rows, too
FEW_EPOCHS = 8  # with fewer, the user wants all epochs


def stops_early(n_losses, n_weights, max_iter, tol):
    """Return whether ``early_stopping="auto"`` holds out rows for a net.

    The training loss of a net keeps falling long after its test loss has begun to rise, especially with many weights.

    Parameters
    ----------
    n_losses : int
        Number of losses in the mean over the training rows.
    n_weights : int
        Number of weights of the layers that read X.
    max_iter : int
        Maximum number of epochs.
    tol : float or None
        None means that all epochs are wanted.
    """
    fits_noise = n_weights >= FEW_WEIGHTS * n_losses and n_losses >= FEWEST_ROWS
    fits_nearly_all = n_weights >= MANY_WEIGHTS * n_losses and n_losses >= FEWEST_OF_WIDE
    return (fits_noise or fits_nearly_all) and max_iter >= FEW_EPOCHS and tol is not None
