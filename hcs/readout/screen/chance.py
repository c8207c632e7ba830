"""How likely chance alone makes such wells: t test against the negatives, and control of false discoveries."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr

from hcs.readout.groups import Floats


def t_test(values: Floats, negative: Floats) -> float:
    """Two-sided p-value that wells (n,) and negative wells (m,) have one mean, by the pooled variance (Student).

    With a single well the variance is that of the negatives, which makes it a test of one new value. NaN for no wells,
    fewer than two negatives, or no spread.
    """
    n, m = values.size, negative.size
    if n == 0 or m < 2:
        return float("nan")
    freedom = n + m - 2
    squares = float(((values - values.mean()) ** 2).sum() + ((negative - negative.mean()) ** 2).sum())
    error = np.sqrt(squares / freedom * (1 / n + 1 / m))
    if not error > 0:
        return float("nan")
    return 2 * float(stdtr(freedom, -abs(float(values.mean() - negative.mean())) / error))


def false_discovery(p: npt.ArrayLike) -> Floats:
    """q-values (n,) of p-values (n,): the smallest false-discovery rate at which each is a discovery.

    Benjamini & Hochberg 1995, for independent or positively dependent tests; NaN stays NaN and does not count.
    """
    values = np.asarray(p, dtype=np.float64)
    q = np.full(values.shape, np.nan)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    ranked = values[order] * known.size / np.arange(1, known.size + 1)
    q[order] = np.minimum(np.minimum.accumulate(ranked[::-1])[::-1], 1.0)
    return q
