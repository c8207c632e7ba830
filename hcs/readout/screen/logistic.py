"""Four-parameter logistic curve through the wells of one compound, with the interval of its EC50."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, fdtrc, fdtri

from hcs.readout.groups import Floats

PARAMETERS = 4
Ends = tuple[float, float]  # lower and upper end of an interval
_NAN = float("nan")
_HILLS = np.geomspace(0.3, 8.0, 16)  # slopes tried; steeper ones jump between two doses, flatter ones are lines
_BEYOND = 2.0  # decades below the lowest and above the highest dose in which an EC50 is looked for
_STEP = 0.05  # decades between the EC50s tried
_SECTIONS = 16  # golden sections of the slope: to 5e-4 of itself
_PARTS = 24  # of a step, and of such a part, looked through for an interval's end
_LACK = 0.01  # p-value of the lack of fit from which on the doses' scatter about the curve makes the intervals
_LN10 = float(np.log(10))
_GOLDEN = (np.sqrt(5) - 1) / 2
_BOX = 48  # EC50s and slopes of the box in which the other parameters' intervals are looked for
_PRIOR_FREEDOM = 8.0  # degrees of freedom that the pooled variance of replicates counts for at each dose


@dataclass(frozen=True, slots=True)
class Curve:
    """y = start + effect / (1 + (EC50 / dose)^hill), hill > 0: ``start`` at dose 0, ``end`` at infinite dose.

    ``log_ec50`` is in log10 dose, ``low`` and ``high`` are the ends of its interval, infinite where that is open.
    ``hill_ends``, ``start_ends`` and ``end_ends`` are the ends of the other parameters' intervals, infinite where open
    (a slope's lower end 0); ``freedom`` are the degrees of freedom of the variance they all stand on; ``p`` is that of
    the F test against a constant, ``r2`` the share of the weighted variance explained, ``p_lack`` that of the test for
    lack of fit, NaN without replicates.
    """

    log_ec50: float
    low: float
    high: float
    hill: float
    start: float
    effect: float
    hill_ends: Ends
    start_ends: Ends
    end_ends: Ends
    freedom: int
    r2: float
    p: float
    p_lack: float

    @property
    def lacks_fit(self) -> bool:
        """Whether doses scatter about the curve more than their replicates explain, which intervals then allow for."""
        return self.p_lack < _LACK

    @property
    def end(self) -> float:
        """Response at infinite dose."""
        return self.start + self.effect


def response(log_dose: npt.ArrayLike, log_ec50: float, hill: float, start: float, end: float) -> Floats:
    """Responses (n,) at log10 doses (n,), -inf for dose 0."""
    return start + (end - start) * _rise(np.asarray(log_dose, dtype=np.float64), log_ec50, hill)


def _rise(log_dose: Floats, log_ec50: npt.ArrayLike, hill: npt.ArrayLike) -> Floats:
    """From 0 at dose 0 to 1 at infinite dose."""
    rise: Floats = expit(_LN10 * np.asarray(hill) * (log_dose - np.asarray(log_ec50)))
    return rise


def replicate_weights(log_dose: Floats, y: Floats) -> Floats:
    """Weights (n,) of mean 1, inverse to the variance of the replicates at each dose.

    The variance of a few replicates is a guess: it is drawn to the variance pooled over all doses, which counts for 8
    degrees of freedom (as in Smyth 2004, with the prior fixed). All 1 without replicates, or without spread.
    """
    doses, codes = np.unique(log_dose, return_inverse=True)
    counts = np.bincount(codes, minlength=doses.size)
    means = np.bincount(codes, weights=y, minlength=doses.size) / counts
    squares = np.bincount(codes, weights=(y - means[codes]) ** 2, minlength=doses.size)
    freedom = int((counts - 1).sum())
    if freedom == 0 or not squares.sum() > 0:
        return np.ones_like(y)
    pooled = squares.sum() / freedom
    variance = (_PRIOR_FREEDOM * pooled + squares) / (_PRIOR_FREEDOM + counts - 1)
    precision = 1 / variance
    weights: Floats = precision[codes] / precision[codes].mean()
    return weights


@dataclass(frozen=True, slots=True)
class _Doses:
    """The m doses of a fit: log10 dose, mean response and weight (m,) of each; ``pure`` is the weighted sum of squares
    of the ``n`` wells about the means, which no curve can take away."""

    x: Floats
    y: Floats
    weights: Floats
    pure: float
    n: int

    @classmethod
    def of(cls, log_dose: Floats, y: Floats, weights: Floats) -> _Doses:
        """From wells (n,)."""
        x, codes = np.unique(log_dose, return_inverse=True)
        total = np.asarray(np.bincount(codes, weights=weights), dtype=np.float64)
        means = np.bincount(codes, weights=weights * y) / total
        return cls(np.asarray(x, dtype=np.float64), means, total, float(weights @ (y - means[codes]) ** 2), y.size)

    @property
    def scale(self) -> float:
        """How far the responses lie apart, above 0."""
        return max(float(np.ptp(self.y)), np.finfo(np.float64).tiny)


def fit_curve(log_dose: Floats, y: Floats, weights: Floats, *, confidence: float) -> Curve:
    """Most likely curve through wells: log10 doses (n,), -inf for dose 0, responses and weights (n,); n > 4.

    All EC50s from two decades below to two above the doses and slopes from 0.3 to 8 are tried, the two ends being
    linear given these; SciPy's least_squares goes on from the best. The interval of the EC50 is that of the profile
    likelihood: EC50s whose best weighted sum of squares exceeds the least by at most F(1, f) s^2 (Bates & Watts 1988),
    s^2 being the variance of the wells about the curve, of f = n - 4 degrees of freedom. It holds ``confidence`` of the
    EC50s if wells vary independently. Where they plainly do not (see ``_variance``), s^2 is that of the doses' means
    about the curve, and f the number of doses less 4. The intervals of slope, start and end are made the same way.
    """
    doses = _Doses.of(log_dose, y, weights)
    finite = doses.x[np.isfinite(doses.x)]
    trials = np.arange(finite[0] - _BEYOND, finite[-1] + _BEYOND + _STEP, _STEP)
    squares, slopes = _profile(doses, trials)
    best = int(np.argmin(squares))
    (log_ec50, hill, start, end), cost = _polished(doses, float(trials[best]), float(slopes[best]), trials)
    scatter = min(cost, float(squares[best]))
    variance, freedom, p_lack = _variance(doses, scatter)
    limit = scatter + variance * float(fdtri(1, freedom, confidence))
    below = trials < log_ec50
    low = _bound(doses, log_ec50, trials[below][::-1], squares[below][::-1], limit, never=-np.inf)
    high = _bound(doses, log_ec50, trials[~below], squares[~below], limit, never=np.inf)
    hill_ends, start_ends, end_ends = _others(doses, (log_ec50, hill), (low, high), trials, limit)
    least, total = doses.pure + scatter, doses.pure + float(doses.weights @ _centred(doses) ** 2)
    f = (total - least) / 3 / max(least / (doses.n - PARAMETERS), np.finfo(np.float64).tiny)
    return Curve(
        log_ec50,
        low,
        high,
        hill,
        start,
        end - start,
        hill_ends,
        start_ends,
        end_ends,
        freedom,
        1 - least / total if total > 0 else _NAN,
        float(fdtrc(3, doses.n - PARAMETERS, max(f, 0.0))),
        p_lack,
    )


def _centred(doses: _Doses) -> Floats:
    """Means less the mean of all wells."""
    centred: Floats = doses.y - np.average(doses.y, weights=doses.weights)
    return centred


def _polished(doses: _Doses, log_ec50: float, hill: float, trials: Floats) -> tuple[list[float], float]:
    """The four parameters of least squares next to an EC50 and a slope, and these squares."""
    root = np.sqrt(doses.weights)
    rise = _rise(doses.x, log_ec50, hill)
    start, end = np.linalg.lstsq(np.column_stack([1 - rise, rise]) * root[:, None], doses.y * root, rcond=None)[0]

    def residuals(q: Floats) -> Floats:
        out: Floats = root * (response(doses.x, q[0], q[1], q[2], q[3]) - doses.y)
        return out

    from scipy.optimize import least_squares  # noqa: PLC0415  a third of a second, which a plate without doses saves

    found = least_squares(
        residuals,
        [log_ec50, hill, start, end],
        bounds=([trials[0], _HILLS[0], -np.inf, -np.inf], [trials[-1], _HILLS[-1], np.inf, np.inf]),
        x_scale=[0.1, 0.5, doses.scale, doses.scale],
        max_nfev=60,  # it starts at the best of a fine grid; a flat valley is not worth more
    )
    return [float(q) for q in found.x], 2 * float(found.cost)


def _variance(doses: _Doses, scatter: float) -> tuple[float, int, float]:
    """Variance that intervals are made of, its degrees of freedom, and the p-value of the test for lack of fit.

    An F test (Bates & Watts 1988) compares the ``scatter`` of the doses' means about the curve with that of the wells
    about these means. Where it is more than chance explains, the wells of a dose share an error, as those of one column
    or of one dilution do, and are no independent witnesses: then the doses are.
    """
    between, within = doses.x.size - PARAMETERS, doses.n - doses.x.size
    freedom = doses.n - PARAMETERS
    pooled = (doses.pure + scatter) / freedom
    if between < 1 or within < 1:
        return pooled, freedom, _NAN
    ratio = scatter / between / max(doses.pure / within, np.finfo(np.float64).tiny)
    p = float(fdtrc(between, within, ratio))
    return (scatter / between, between, p) if p < _LACK else (pooled, freedom, p)


def _profile(doses: _Doses, trials: Floats) -> tuple[Floats, Floats]:
    """Least weighted sum of squares (t,) for each EC50 tried, and the slope (t,) that gives it.

    Slopes of a coarse series first, then golden sections around the best, for all EC50s at once.
    """
    ends = np.log(_HILLS[[0, -1]])
    coarse = _squares(doses, trials[:, None], _HILLS)
    step = float(ends[1] - ends[0]) / (len(_HILLS) - 1)
    middle = np.log(_HILLS[coarse.argmin(axis=1)])
    low, high = np.maximum(middle - step, ends[0]), np.minimum(middle + step, ends[1])
    for _ in range(_SECTIONS):
        inner, outer = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        first = _squares(doses, trials, np.exp(inner)) < _squares(doses, trials, np.exp(outer))
        low, high = np.where(first, low, inner), np.where(first, outer, high)
    hills = np.exp((low + high) / 2)
    return _squares(doses, trials, hills), hills


def _squares(doses: _Doses, log_ec50: Floats, hill: Floats) -> Floats:
    """Weighted sum of squares of the means about the best start and end, for EC50s and slopes of any one shape."""
    share = doses.weights / doses.weights.sum()
    y = _centred(doses)
    rise = _rise(doses.x, log_ec50[..., None], hill[..., None])
    rise = rise - (rise @ share)[..., None]
    steep = rise**2 @ doses.weights
    along = rise @ (doses.weights * y)
    enough = steep > 1e-14 * doses.weights.sum()
    gained = np.divide(along**2, steep, out=np.zeros_like(along), where=enough)
    squares: Floats = np.maximum(doses.weights @ y**2 - gained, 0.0)
    return squares


def _bound(doses: _Doses, best: float, trials: Floats, squares: Floats, limit: float, *, never: float) -> float:
    """Where the profile first rises above ``limit``, going through ``trials`` away from ``best``; else ``never``."""
    above = np.flatnonzero(squares > limit)
    if not above.size:
        return never
    first = int(above[0])
    inner, outer = float(trials[first - 1]) if first else best, float(trials[first])
    for _ in range(2):
        fine = np.linspace(inner, outer, _PARTS + 1)
        over = _profile(doses, fine[1:])[0] > limit
        over[-1] = True  # it was when it was a trial
        first = int(np.argmax(over))
        inner, outer = float(fine[first]), float(fine[first + 1])
    return (inner + outer) / 2


def _others(doses: _Doses, best: Ends, ec50s: Ends, trials: Floats, limit: float) -> tuple[Ends, Ends, Ends]:
    """Intervals of the slope, the start and the end: as far as each goes among the curves within ``limit``.

    The curves lie in a box of EC50s (``ec50s``, the interval of the EC50, or to the last of ``trials`` where that is
    open) and slopes. Given these two, the squares are a parabola in the start and in the end, so how far each goes is
    said in closed form. An interval is open where its farthest curve is the last that is tried.
    """
    middles = np.linspace(max(ec50s[0], trials[0]), min(ec50s[1], trials[-1]), _BOX)
    middles = np.sort(np.append(middles, best[0]))
    hills = np.sort(np.append(np.geomspace(_HILLS[0], _HILLS[-1], _BOX), best[1]))
    within = (_squares(doses, middles[:, None], hills) <= limit).any(axis=0) | (hills == best[1])
    first, last = int(np.argmax(within)), hills.size - 1 - int(np.argmax(within[::-1]))
    inner = np.geomspace(hills[max(first - 1, 0)], hills[min(last + 1, hills.size - 1)], _BOX)
    hills = np.sort(np.append(inner, best[1]))
    squares, ends, spreads = _parabolas(doses, middles[:, None], hills)
    room = limit - squares
    room[middles == best[0], hills == best[1]] = np.maximum(room[middles == best[0], hills == best[1]], 0.0)
    inside = room >= 0
    slopes = hills[inside.any(axis=0)]
    reach = np.sqrt(np.where(inside, room, 0.0) * spreads)
    lows, highs = (np.where(inside, value, fill) for value, fill in ((ends - reach, np.inf), (ends + reach, -np.inf)))
    hill_ends = (
        0.0 if slopes[0] <= _HILLS[0] else float(slopes[0]),
        np.inf if slopes[-1] >= _HILLS[-1] else float(slopes[-1]),
    )
    start_ends, end_ends = ((float(low.min()), float(high.max())) for low, high in zip(lows, highs, strict=True))
    endless = (-np.inf, np.inf)  # the doses do not say where the curve starts, or ends
    return (
        hill_ends,
        endless if np.isneginf(ec50s[0]) else start_ends,
        endless if np.isposinf(ec50s[1]) else end_ends,
    )


def _parabolas(doses: _Doses, log_ec50: Floats, hill: Floats) -> tuple[Floats, Floats, Floats]:
    """For EC50s and slopes of any one shape (...): the least squares (...), the start and the end there (2, ...), and
    how far each goes, squared, for one more unit of squares (2, ...)."""
    weights, total = doses.weights, doses.weights.sum()
    rise = _rise(doses.x, log_ec50[..., None], hill[..., None])
    mean = rise @ weights / total
    steep = np.maximum((rise - mean[..., None]) ** 2 @ weights, 1e-14 * total)
    centred = _centred(doses)
    effect = (rise - mean[..., None]) @ (weights * centred) / steep
    level = float(np.average(doses.y, weights=weights))
    squares = np.maximum(float(weights @ centred**2) - effect**2 * steep, 0.0)
    ends = np.stack([level - effect * mean, level + effect * (1 - mean)])
    spreads = np.stack([1 / total + mean**2 / steep, 1 / total + (1 - mean) ** 2 / steep])
    return squares, ends, spreads
