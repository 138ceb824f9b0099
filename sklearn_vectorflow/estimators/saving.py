"""Fitted estimators in files that run no code when they are loaded."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sklearn.utils.validation import check_is_fitted

from sklearn_vectorflow.persistence.container import write
from sklearn_vectorflow.persistence.encoding import Encoder
from sklearn_vectorflow.persistence.types import OF_MODELS, name_of, trusted_by_name
from sklearn_vectorflow.validation.types import FilePath

OWN = "sklearn_vectorflow.estimators."  # where estimators that need no trust come from


class SaveMixin:
    """`save` for fitted estimators."""

    def save(
        self,
        path: FilePath,
        *,
        keep_state: bool | None = None,
        trusted: Sequence[type | Callable[..., Any]] = (),
    ) -> None:
        """Save the fitted estimator to a file that :func:`sklearn_vectorflow.load` reads.

        The file holds arrays and JSON in the safetensors format, with checksums. Loading it runs no code. An existing
        file of this name is replaced once the new one is complete.

        Parameters
        ----------
        path : path-like
            Path of the file, such as ``"model.safetensors"``.
        keep_state : bool, default=None
            Whether to save what ``partial_fit`` continues from: the state of the optimizer and, early in a stream, the
            first rows. Without it the file is smaller, and predictions are the same. None takes
            ``network_.keep_state``, which is True unless it was set.
        trusted : sequence of classes and functions, default=()
            Your own losses, layers and other objects that the estimator holds. The file has only their names, so
            ``load`` needs them, too.

        Raises
        ------
        TypeError
            If the estimator holds something that cannot be saved and is not in `trusted`.
        OSError
            If the file cannot be written.
        """
        check_is_fitted(self, "network_")
        types = {**OF_MODELS, **trusted_by_name(trusted)}
        if type(self).__module__.startswith(OWN):
            types[name_of(type(self))] = type(self)
        with self._turn.lock, self.network_.turn.lock:
            kept, keep = self._draft(), self.network_.keep_state if keep_state is None else keep_state
            kept.network_ = self.network_.kept(bool(keep))
            if not keep:
                vars(kept).pop("_first_rows", None)  # with which training would begin anew
                vars(kept).pop("_n_remembered", None)
            requests = vars(kept).pop("_metadata_request", None)
            if requests is not None:
                asked = {name: getattr(one, "requests", None) for name, one in vars(requests).items()}
                kept._requests = {name: dict(one) for name, one in asked.items() if one}
            encoder = Encoder(types)
            write(Path(path), encoder.encode(kept, ""), encoder.arrays)
