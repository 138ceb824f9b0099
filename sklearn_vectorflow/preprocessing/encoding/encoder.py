"""A transformer of data frames into rows of a sparse matrix, by hashing."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sklearn_vectorflow.engine.text import hashing as engine
from sklearn_vectorflow.io.encoded import encoded, is_source_of_frames
from sklearn_vectorflow.preprocessing.encoding.frames import read_frame
from sklearn_vectorflow.preprocessing.encoding.ids import warn_of_ids
from sklearn_vectorflow.preprocessing.encoding.kinds import Kind, Numeric, resolve_kind
from sklearn_vectorflow.preprocessing.encoding.learned import Learned
from sklearn_vectorflow.preprocessing.encoding.names import FeatureNames
from sklearn_vectorflow.preprocessing.encoding.plan import PIECE, Column
from sklearn_vectorflow.preprocessing.encoding.rows import hash_frame
from sklearn_vectorflow.preprocessing.encoding.sources import fitted_to, frozen, updated_by
from sklearn_vectorflow.threads import Crew, n_workers
from sklearn_vectorflow.validation.errors import brief, restoring, warn
from sklearn_vectorflow.validation.scalars import check_choice, check_flag, check_integer
from sklearn_vectorflow.validation.types import RowsLike, SparseMatrix

MOST_NAMES = 2**62
MOST_BITS = 30  # columns of the matrix are int32
CELL_WORK = 10  # multiplications that take as long as a cell


class HashingEncoder(  # type: ignore[call-arg]
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):
    """Encode the columns of a data frame as a sparse matrix by hashing, on several threads.

    A feature is a string, such as "city=Rome". Its MurmurHash3 determines its column of the matrix and, with
    `alternate_sign`, its sign. The matrix equals that of :class:`~sklearn.feature_extraction.FeatureHasher` with the
    same number of columns, for rows as dicts of strings and numbers.

    The encoder learns nothing and needs no `fit`, apart from three cases: `min_count`, `collect_names`, and columns to
    be standardised without given mean and scale. Any number of threads may call `transform` at once. Like FeatureHasher
    and :class:`~sklearn.feature_extraction.text.HashingVectorizer`, it ignores ``set_config(transform_output=...)``:
    its output is always sparse.

    Parameters
    ----------
    n_bits : int, default=20
        The matrix has ``2 ** n_bits`` columns, at most 2**30.
    columns : dict, list of str or None, default=None
        Columns to encode, and their kinds: "categorical", "numeric", "tokens" (lists of strings), "text", or an object
        :class:`Categorical`, :class:`Numeric`, :class:`Tokens` or :class:`Text`. In a list, the type of a column
        determines its kind: strings and categories are "categorical", numbers and booleans "numeric", lists "tokens". A
        warning names columns of whole numbers that look like ids. None encodes all columns. Columns of arrays have the
        names "x0", "x1" and so on.
    alternate_sign : bool, default=True
        Whether half of the features have negated values, so that features that share a column cancel on average.
    missing : {"ignore", "token"}, default="ignore"
        Whether a missing value (None, NaN, NA) has no entry, or is the feature "column=<missing>". This includes
        missing strings in a list.
    groups : bool, default=False
        Whether each column of the frame has its own ``2 ** n_bits`` columns of the matrix, see `groups_`.
    min_count : int, default=0
        Leave out categories, tokens and words that `fit` has seen less often. A count-min sketch of fixed size counts
        them, which may overestimate a count but never underestimates it.
    sketch_bits : int, default=20
        The sketch has ``4 * 2 ** sketch_bits`` counters of four bytes each.
    collect_names : int, default=0
        Maximum number of features whose names `fit` stores for :meth:`feature_names_from`.
    n_jobs : int, default=None
        Number of threads. None means 1 unless in a :obj:`joblib.parallel_config` context, -1 means all cores. The
        matrix does not depend on it.

    Attributes
    ----------
    kinds_ : dict of str to kind
        Kinds of the columns, with what `fit` has learned.
    groups_ : dict of str to slice
        Columns of the matrix for each column of the frame, if `groups`: what
        :class:`~sklearn_vectorflow.layers.FieldAwareFactorizationMachine` takes as fields.
    n_features_in_ : int
        Number of columns seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X was a data frame with string column names.

    References
    ----------
    Weinberger, Dasgupta, Langford, Smola and Attenberg (2009), "Feature hashing for large scale multitask learning",
    doi:10.1145/1553374.1553516.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_vectorflow.preprocessing import HashingEncoder, Numeric
    >>> frame = pd.DataFrame({"city": ["Rome", "Oslo", None], "visits": [3, 0, 8]})
    >>> encoder = HashingEncoder(columns={"city": "categorical", "visits": Numeric("log1p")})
    >>> X = encoder.transform(frame)
    >>> X.shape, X.nnz
    ((3, 1048576), 4)
    >>> named = HashingEncoder(collect_names=1000).fit(frame)
    >>> named.feature_names_from(named.transform(frame[:1]).indices)
    [['city=Rome'], ['visits']]
    """

    def __init__(
        self,
        n_bits: int = 20,
        *,
        columns: Mapping[str, str | Kind] | Sequence[str] | None = None,
        alternate_sign: bool = True,
        missing: Literal["ignore", "token"] = "ignore",
        groups: bool = False,
        min_count: int = 0,
        sketch_bits: int = 20,
        collect_names: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.n_bits = n_bits
        self.columns = columns
        self.alternate_sign = alternate_sign
        self.missing = missing
        self.groups = groups
        self.min_count = min_count
        self.sketch_bits = sketch_bits
        self.collect_names = collect_names
        self.n_jobs = n_jobs

    def __setstate__(self, state):
        super().__setstate__(state)
        with restoring():
            if hasattr(self, "kinds_"):
                types = type(self.kinds_), type(self.kinds_given_), type(self._learned)
                if types != (dict, dict, Learned):
                    raise ValueError("what the encoder learned is of other types.")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []
        tags.requires_fit = self._needs_fit()
        return tags

    def fit(self, X: RowsLike, y: Any = None) -> Self:
        """Learn what the parameters require, and discard what was learned before.

        Parameters
        ----------
        X : data frame or array-like of shape (n_rows, n_columns)
            Data of pandas, polars or pyarrow, any table with ``__arrow_c_stream__``, an array of objects, strings or
            numbers, or a source of these (see :mod:`sklearn_vectorflow.io`). `fit` reads the whole source if it has
            something to learn. Otherwise it reads the first block, or nothing if the source can be read only once.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The fitted encoder.

        Raises
        ------
        TypeError, ValueError
            If a parameter or a column is invalid. The encoder then stays unchanged.
        """
        self._check_parameters()
        if is_source_of_frames(X):
            return self._become(fitted_to(self, X, learns=self._needs_fit() or self.collect_names > 0))
        return self._begin(read_frame(X))

    def partial_fit(self, X: RowsLike, y: Any = None) -> Self:
        """Learn from another block of rows.

        Parameters
        ----------
        X : data frame or array-like of shape (n_rows, n_columns), or source
            Rows.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The encoder.
        """
        self._check_parameters()
        if is_source_of_frames(X):
            return self._become(updated_by(self, X))
        frame = read_frame(X)
        return self._go_on(frame, self._learned.copy()) if hasattr(self, "kinds_") else self._begin(frame)

    def transform(self, X: RowsLike) -> SparseMatrix:
        """Encode rows.

        Parameters
        ----------
        X : data frame or array-like of shape (n_rows, n_columns), or source
            Rows.

        Returns
        -------
        X : csr_matrix of shape (n_rows, n_features), float32
            Encoded rows with sorted columns, without duplicates and explicit zeros. For a source, the result is a
            source that encodes each block when it is read.

        Raises
        ------
        NotFittedError
            If the encoder has something to learn and was not fitted.
        TypeError, ValueError
            If a parameter or a column is invalid.
        """
        self._check_parameters()
        if self._needs_fit():
            check_is_fitted(self, "kinds_")
        if is_source_of_frames(X):
            return encoded(X, frozen(self))  # what is learned later does not change it
        frame = read_frame(X)
        if hasattr(self, "kinds_"):
            self._check_names(frame)
        kinds = getattr(self, "kinds_", None) or self._kinds_of(frame)
        for name, kind in kinds.items():  # those of a pickle may be anything
            resolve_kind(name, kind)
        sketch = self._learned.sketch if self.min_count > 1 else None
        columns = self._columns(kinds)
        frame = frame.select(list(kinds))
        rules = engine.Rules(self.n_bits, self.alternate_sign, sketch, max(0, self.min_count))
        with self._crew(frame) as crew:
            return hash_frame(frame, columns, rules, self._width(len(columns)), crew)

    def feature_names_from(self, hashes: ArrayLike) -> list[list[str]]:
        """Return the names of the features in columns of the matrix.

        Parameters
        ----------
        hashes : array-like of int, shape (n,)
            Numbers of columns of the matrix, such as those of the largest weights.

        Returns
        -------
        names : list of list of str
            For each column the names of the features that `fit` has seen in it, limited by `collect_names`.

        Raises
        ------
        NotFittedError
            If the encoder was not fitted.
        ValueError
            If `collect_names` is 0, or the matrix does not have a column.
        """
        names = self._collected()
        hashes = np.atleast_1d(hashes)
        if hashes.size and (hashes.dtype.kind not in "iu" or hashes.min() < 0 or hashes.max() >= self._n_features_out):
            raise ValueError(f"hashes must be integers in [0, {self._n_features_out}), got {brief(hashes)}.")
        return [names.of_column(index) for index in hashes.ravel().tolist()]

    def collisions(self, X: RowsLike | None = None) -> dict[str, float]:
        """Count features that share their column of the matrix with another feature.

        These include features that `min_count` leaves out.

        Parameters
        ----------
        X : data frame or array-like of shape (n_rows, n_columns), default=None
            Rows, such as a sample before training. None uses the names that `fit` has collected.

        Returns
        -------
        found : dict
            "names" is the number of distinct features, "columns" the number of columns of the matrix, "sharing" the
            number of features that share their column with another, and "expected" its expectation for random hashes
            (see :func:`expected_collisions`).

        Raises
        ------
        NotFittedError
            If X is None and the encoder was not fitted.
        ValueError
            If X is None and `collect_names` is 0.

        Examples
        --------
        >>> import pandas as pd
        >>> from sklearn_vectorflow.preprocessing import HashingEncoder
        >>> frame = pd.DataFrame({"city": ["Rome", "Oslo", "Lima", "Bern"]})
        >>> found = HashingEncoder(n_bits=3).collisions(frame)
        >>> found["names"], found["columns"]
        (4, 8)
        """
        names = self._collected() if X is None else self._names_of(X)
        if not names.room:
            warn(
                f"collect_names={self.collect_names} left no room for more names: collisions counts only those that "
                "fit has kept."
            )
        return {
            "names": len(names),
            "columns": names.n_columns,
            "sharing": names.sharing(),
            "expected": names.expected_sharing(),
        }

    def _signs_of(self, names):
        """Return 1 for each feature, but -1 where `alternate_sign` makes it count negatively."""
        if not self.alternate_sign:
            return np.ones(len(names))
        hashes = np.array([engine.murmur3(name.encode()) for name in names], dtype=np.uint32)
        return np.where(hashes.view(np.int32) < 0, -1.0, 1.0)

    def _counts_from(self, columns):
        """Return how often `fit` met the features that it has names of, summed by their columns of the matrix.

        NaN where it counted none of them; None if it counts nothing.
        """
        learned = self._learned
        if learned.sketch is None:
            return None
        counts = np.array([sum(map(learned.count_of, learned.names.of_column(one))) for one in columns.tolist()], float)
        return np.where(counts > 0, counts, np.nan)

    # ---- columns ------------------------------------------------------------------

    def _check_parameters(self):
        check_integer("n_bits", self.n_bits, 1)
        check_integer("sketch_bits", self.sketch_bits, 1)
        for name in ("n_bits", "sketch_bits"):
            if getattr(self, name) > MOST_BITS:
                raise ValueError(f"{name} must be at most {MOST_BITS}, got {getattr(self, name)}.")
        check_integer("min_count", self.min_count, 0)
        check_integer("collect_names", self.collect_names, 0)
        check_flag("alternate_sign", self.alternate_sign)
        check_flag("groups", self.groups)
        check_choice("missing", self.missing, ("ignore", "token"))
        if self.columns is not None and not isinstance(self.columns, (dict, list, tuple)):
            raise TypeError(f"columns must be a dict, a list of names or None, got {brief(self.columns)}.")
        for name, kind in self._named_kinds().items():
            resolve_kind(name, kind)

    def _named_kinds(self):
        return self.columns if isinstance(self.columns, dict) else {}

    def _needs_fit(self):
        learns = any(getattr(kind, "learns", bool)() for kind in self._named_kinds().values())
        return learns or self.min_count > 1

    def _counters(self):
        return self.sketch_bits if self.min_count > 1 else None

    def _kinds_of(self, frame):
        """Return the kinds of the chosen columns of a frame."""
        names = frame.names if self.columns is None else list(self.columns)
        unknown = [name for name in names if name not in frame.names]
        if unknown:
            raise ValueError(f"columns names {unknown}, which X does not have; its columns are {_shown(frame.names)}.")
        named = self._named_kinds()
        kinds = {name: resolve_kind(name, named.get(name) or _default_kind(frame, name)) for name in names}
        for name, kind in kinds.items():
            if name not in named and isinstance(kind, Numeric):
                warn_of_ids(name, frame.columns[frame.names.index(name)])
        return kinds

    def _columns(self, kinds):
        width = 2**self.n_bits if self.groups else 0
        self._width(len(kinds))
        keep_missing = self.missing == "token"
        return [Column(name, kind, keep_missing, j * width) for j, (name, kind) in enumerate(kinds.items())]

    def _width(self, n_columns):
        width = 2**self.n_bits * (n_columns if self.groups else 1)
        if width > 2**31 - 1:
            raise ValueError(
                f"groups=True with n_bits={self.n_bits} and {n_columns} columns gives {width} features, "
                "more than 2**31 - 1."
            )
        return width

    @property
    def _n_features_out(self):
        return self._width(len(self.kinds_))

    # ---- learning -----------------------------------------------------------------

    def _collected(self):
        """Return the names that `fit` has collected."""
        check_is_fitted(self, "kinds_")
        if self.collect_names == 0:
            raise ValueError("The encoder has no names: it was not fitted with collect_names > 0.")
        return self._learned.names

    def _names_of(self, X):
        """Return the names of all features of rows."""
        self._check_parameters()
        frame = read_frame(X)
        kinds = getattr(self, "kinds_", None) or self._kinds_of(frame)
        names, columns = FeatureNames(MOST_NAMES), self._columns(kinds)
        frame = frame.select(list(kinds))
        with self._crew(frame) as crew:
            names.learn(list(frame.pieces(PIECE)), columns, self.n_bits, crew)
        return names

    def _become(self, draft):
        self.__dict__ = vars(draft)
        return self

    def _begin(self, frame):
        return self._learn(frame, self._kinds_of(frame), Learned(self._counters(), self.collect_names))

    def _go_on(self, frame, learned):
        self._check_names(frame)
        return self._learn(frame, self.kinds_given_, learned)

    def _learn(self, frame, kinds, learned):
        columns = self._columns(kinds)
        chosen = frame.select(list(kinds))
        with self._crew(chosen) as crew:
            learned.learn(chosen, columns, self.n_bits, crew)
        self._learned, self.kinds_given_ = learned, kinds
        self.kinds_ = {
            name: kind.with_moments(learned.moments[name].mean, learned.moments[name].scale) if kind.learns() else kind
            for name, kind in kinds.items()
        }
        if self.groups:
            size = 2**self.n_bits
            self.groups_ = {column.name: slice(column.first_bucket, column.first_bucket + size) for column in columns}
        self._set_names(frame)
        return self

    def _set_names(self, frame):
        self.n_features_in_ = len(frame.names)
        if frame.named:
            self.feature_names_in_ = np.array(frame.names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _check_names(self, frame):
        """Raise unless the columns that are used are there."""
        if self.columns is None and len(frame.names) != self.n_features_in_:
            raise ValueError(
                f"X has {len(frame.names)} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input."
            )
        lacking = [name for name in self.kinds_ if name not in frame.names]
        if lacking:
            raise ValueError(
                f"X lacks columns seen during fit: {_shown(lacking)}; its columns are {_shown(frame.names)}."
            )

    def _crew(self, frame):
        return Crew(n_workers(self.n_jobs, frame.n_rows * len(frame.names) * CELL_WORK))


def _default_kind(frame, name):
    chunks = frame.columns[frame.names.index(name)]
    kind = next((chunk.kind for chunk in chunks if len(chunk)), None)
    if kind is None:
        raise TypeError(
            f"Column {name!r} of X holds {chunks[0].what}, which has no kind of column; convert or drop it."
        )
    return kind


def _shown(names):
    return names if len(names) <= 10 else [*names[:10], "..."]
