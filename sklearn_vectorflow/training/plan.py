"""How a pass goes over rows: chunks, slices, windows."""

import math
from dataclasses import dataclass

import numpy as np

FULL_SHUFFLE = 65_536  # rows up to which single rows are shuffled
CHUNK = 64  # else rows that stay neighbours; the engine mixes 16 chunks at a time
SLICE = 4_000_000  # multiplications between two looks at interrupts
SLICES = 16  # times workers: slices of a pass at least, so that workers end together
ALONE = 4096  # first rows that one worker trains on: steps are long, and those of several workers would add up


@dataclass(frozen=True)
class Plan:
    """How a pass goes over rows.

    Parameters
    ----------
    n_rows : int
    chunk : int
        Rows that stay neighbours when the order is drawn. Where steps take whole groups, chunks are
        groups, and this is the longest.
    slices : list of tuple of int
        Ranges of chunks that are one call of the engine: of whole batches all but the last.
    canonical : bool
        Whether no row has a column twice or a zero.
    first : int, default=0
        Number of the first slice, where the plan is a part of another.
    group_rows : int, default=0
        Where steps take whole groups: as many as have at most so many rows together, or one.
    """

    n_rows: int
    chunk: int
    slices: list
    canonical: bool
    first: int = 0
    group_rows: int = 0

    @classmethod
    def of(cls, n_rows, work, canonical, batch_size, n_workers, starts=None, alike=False):
        """Plan a pass over rows, or over the groups that start there, of so many multiplications.

        Rows are shuffled one by one if there are few, or if neighbours have alike targets (`alike`): whole chunks of
        one class would pull the weights back and forth.
        """
        if starts is None:
            chunk, group_rows = 1 if alike or n_rows <= FULL_SHUFFLE else CHUNK, 0
            n_chunks, whole = -(-n_rows // chunk), batch_size // math.gcd(batch_size, chunk)
        else:
            chunk, group_rows = int(np.diff(starts).max()), batch_size
            n_chunks, whole = len(starts) - 1, 1
        n_slices = max(1, work // SLICE)
        if n_workers > 1:
            n_slices = max(n_slices, SLICES * n_workers)
        length = whole * max(1, -(-n_chunks // (n_slices * whole)))
        first = whole * -(-ALONE // (chunk * whole)) if n_workers > 1 and n_chunks > length else length
        edges = [0, *range(min(first, length), n_chunks, length), n_chunks]
        slices = list(zip(edges[:-1], edges[1:]))
        return cls(n_rows, chunk, slices, canonical, group_rows=group_rows)

    @property
    def n_chunks(self):
        """Chunks in the pass."""
        return self.slices[-1][1]

    @property
    def n_whole(self):
        """Chunks that are not cut off by the last row."""
        return self.n_chunks if self.group_rows else self.n_rows // self.chunk

    def windows(self, most_rows):
        """Cut into plans of neighbouring slices, each for at most so many rows or one slice."""
        length = max(end - start for start, end in self.slices) * self.chunk
        step = max(1, most_rows // length)
        plans = []
        for first in range(0, len(self.slices), step):
            slices = self.slices[first : first + step]
            base = slices[0][0]
            n_rows = min(slices[-1][1] * self.chunk, self.n_rows) - base * self.chunk
            local = [(start - base, end - base) for start, end in slices]
            plans.append(Plan(n_rows, self.chunk, local, self.canonical, first))
        return plans
