"""Whether the loss on held-out rows ends training by default."""

FEWEST_ROWS = 10_000  # of which a tenth tells the best epoch, and is little to give away
FEW_WEIGHTS = 0.1  # of the rows: so few weights hardly fit noise, and held-out rows tell more in training
FEWEST_OF_WIDE, MANY_WEIGHTS = 1000, 10.0  # rows, and weights a row, that fit noise so well that fewer rows tell it
FEW_EPOCHS = 8  # so many, or none that may be left out, were asked for


def stops_early(n_losses, n_weights, max_iter, tol):
    """Return whether ``early_stopping="auto"`` watches held-out rows in training a net.

    The training loss of a net falls on long after its test loss has begun to rise, the more so the more weights it has.

    Parameters
    ----------
    n_losses : int
        Losses in the mean over the training rows.
    n_weights : int
        Of the layers that read X.
    max_iter : int
        Epochs, at most.
    tol : float or None
        None asks for all of them.
    """
    fits_noise = n_weights >= FEW_WEIGHTS * n_losses and n_losses >= FEWEST_ROWS
    fits_nearly_all = n_weights >= MANY_WEIGHTS * n_losses and n_losses >= FEWEST_OF_WIDE
    return (fits_noise or fits_nearly_all) and max_iter >= FEW_EPOCHS and tol is not None
