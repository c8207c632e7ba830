"""What wells without an effect look like: Student's distribution of unknown scale and tails, learned from many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, stdtr

from hcs.readout.screen.spread import Floats, robust_sd

LEAST = 20  # values that a null distribution is learned from; fewer tell nothing of its tails
_FREEDOMS = np.array([2.0, 2.5, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 30.0, 200.0])  # the tails that may be
_PRIORS = np.exp(np.outer((-0.35, 0.0), np.arange(_FREEDOMS.size)))  # of each tail: heavy ones likelier; all alike
_HEAVY = _FREEDOMS < 3  # tails that noise hardly has
_HITS = 0.8  # weight on these from which on hits are taken to be among the values
_LITTLE = 1e-6  # weight that is left out
_SCALES = np.exp(np.linspace(np.log(0.55), np.log(1.8), 25))  # of the robust standard deviation
_CENTRAL = (0.95, 0.8, 0.65)  # shares of the values, nearest to the centre, whose places count; else the next


@dataclass(frozen=True, slots=True)
class Null:
    """Distribution of values without an effect: ``centre``, robust ``spread``, and how likely the values make each
    degree of freedom and scale of Student's t, ``weights`` (f, s)."""

    centre: float
    spread: float
    weights: Floats

    def p_values(self, values: Floats) -> Floats:
        """Two-sided p-values (n,): how likely a value without an effect lies as far out; NaN for NaN.

        Averaged over all tails and scales that the values leave possible (the predictive distribution), so that tails
        which are not known make no hits.
        """
        known = np.isfinite(values)
        p = np.full(values.shape, np.nan)
        away = np.abs(values[known] - self.centre) / self.spread
        f, k = np.nonzero(self.weights > _LITTLE)
        beyond = 2 * stdtr(_FREEDOMS[f][:, None], -away / _SCALES[k][:, None])
        p[known] = self.weights[f, k] @ beyond
        return p


def learn_null(values: Floats, *, centre: float | None = None) -> Null | None:
    """The null distribution of finite values (n,) most of which have no effect; None for fewer than 20 or no spread.

    An empirical null (Efron, J. Am. Stat. Assoc. 99, 96, 2004): centre and scale are the values' own, not those of the
    controls, which lie elsewhere on the plate. Scale and tails are judged by the central 95 %; of the rest the
    likelihood knows only how many there are, so that hits neither widen it nor lengthen its tails. Where the tails
    come out heavier than Student's of 3 degrees of freedom, hits are among the central values too, and fewer are taken.
    Beforehand heavy tails are the likelier ones, as a tail taken for too light makes false hits; where hits are plainly
    among the values, all are alike. docs/benchmarks/coverage.md counts the false hits that are left.
    ``centre`` is where it is known, by default the median.
    """
    if values.size < LEAST:
        return None
    middle = float(np.median(values)) if centre is None else centre
    spread = robust_sd(values, centre)
    if not spread > 0:
        return None
    away = np.sort(np.abs(values - middle)) / spread
    weights = np.empty(0)
    for share in _CENTRAL:
        prior = _PRIORS[0 if share == _CENTRAL[0] else 1]
        weights = _weights(away, int(np.ceil(share * away.size)), prior)
        if weights[_HEAVY].sum() <= _HITS:
            break
    return Null(middle, spread, weights)


def _weights(away: Floats, n: int, prior: Floats) -> Floats:
    """How likely sorted distances from the centre (m,), in robust spreads, make each tail and scale (f, s): by the
    places of the first ``n``, the number of the others, and how likely each tail is beforehand, ``prior`` (f,)."""
    inside, cut = away[:n], away[n - 1]
    squares = (inside[:, None] / _SCALES) ** 2
    freedoms = _FREEDOMS[:, None]
    log = np.stack([-(f + 1) / 2 * np.log1p(squares / f).sum(axis=0) for f in _FREEDOMS])
    log += n * (gammaln((freedoms + 1) / 2) - gammaln(freedoms / 2) - np.log(freedoms * np.pi) / 2 - np.log(_SCALES))
    log += (away.size - n) * np.log(2 * stdtr(freedoms, -cut / _SCALES))
    weights = np.exp(log - log.max()) * prior[:, None]
    total: Floats = weights / weights.sum()
    return total
