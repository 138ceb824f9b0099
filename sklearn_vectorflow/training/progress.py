"""Lines that tell how far a pass over a source is."""

import time

EVERY = 5.0  # seconds between lines


class Progress:
    """Prints rows and bytes a second, and the time left, now and then.

    Parameters
    ----------
    verbose : int
        0 prints nothing.
    n_rows : int or None
        Rows of the pass, if known.
    clock : callable, default=time.perf_counter
        Returns seconds.
    """

    def __init__(self, verbose, n_rows, clock=time.perf_counter):
        self.verbose = verbose
        self.n_rows = n_rows
        self.clock = clock
        self.begun = self.told = clock()
        self.n_bytes = 0

    def tell(self, n_done, n_bytes):
        """Take in the rows done so far and the bytes done since the last call."""
        self.n_bytes += n_bytes
        now = self.clock()
        if not self.verbose or now - self.told < EVERY:
            return
        self.told = now
        print(self.line(n_done, now - self.begun), flush=True)

    def line(self, n_done, seconds):
        """Return the line for rows done in some seconds."""
        total, left = "", ""
        if self.n_rows:
            total = f" of {self.n_rows:,}"
            left = f", {seconds * (self.n_rows - n_done) / n_done:.0f} s left"
        rate, megabytes = n_done / seconds, self.n_bytes / seconds / 1e6
        return f"{n_done:,}{total} rows, {rate / 1e6:.3g} M rows/s, {megabytes:.3g} MB/s{left}"
