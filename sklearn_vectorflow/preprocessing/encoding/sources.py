"""Encoders that learn from sources of frames."""

import copy

from sklearn_vectorflow.io.encoded import check_again, first_block, frames_of
from sklearn_vectorflow.preprocessing.encoding.frames import read_frame
from sklearn_vectorflow.validation.errors import naming

FITTED = ("kinds_", "kinds_given_", "_learned", "groups_", "n_features_in_", "feature_names_in_")


def frozen(transformer):
    """Return a copy with the parameters and what was learned, and nothing that scikit-learn attaches during a fit."""
    copied = type(transformer)(**transformer.get_params(deep=False))
    vars(copied).update({name: value for name, value in vars(transformer).items() if name in FITTED})
    return copied


def fitted_to(encoder, X, learns):
    """Return an encoder that is fitted to a source of frames; a source that fails leaves the encoder as it was.

    Parameters
    ----------
    encoder : HashingEncoder
    X : source
    learns : bool
        Whether there is something to learn of all rows. If not, the first block says what columns are, or, where X
        can be read once, each block does.
    """
    source, fitted = frames_of(X), copy.copy(encoder)
    for name in FITTED:
        vars(fitted).pop(name, None)
    if learns:
        check_again(source)
        with source.unchecked() as blocks:
            _learn(fitted, blocks)
    elif not source.once:
        _learn(fitted, [first_block(source)])
    return fitted


def updated_by(encoder, X):
    """Return an encoder that has learned from a source of frames more; see `fitted_to`."""
    updated = copy.copy(encoder)
    if hasattr(encoder, "kinds_"):
        updated._learned = encoder._learned.copy()
    with frames_of(X).unchecked() as blocks:
        _learn(updated, blocks)
    return updated


def _learn(encoder, blocks):
    for block in blocks:
        with naming(block.where):
            frame = read_frame(block.X)
            if hasattr(encoder, "kinds_"):
                encoder._go_on(frame, encoder._learned)
            else:
                encoder._begin(frame)
