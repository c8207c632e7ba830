"""Four-parameter logistic curve through the wells of one compound, with the interval of its EC50."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares
from scipy.special import fdtrc, fdtri, stdtrit

from hcs.readout.groups import Floats

PARAMETERS = 4
_NAN = float("nan")
_HILLS = np.geomspace(0.3, 8.0, 16)  # slopes tried; steeper ones jump between two doses, flatter ones are lines
_BEYOND = 2.0  # decades below the lowest and above the highest dose in which an EC50 is looked for
_STEP = 0.05  # decades between the EC50s tried
_SECTIONS = 16  # golden sections of the slope: to 5e-4 of itself
_HALVINGS = 14  # of a step, to find an interval's end
_GOLDEN = (np.sqrt(5) - 1) / 2
_PRIOR_FREEDOM = 4.0  # degrees of freedom that the pooled variance of replicates counts for at each dose


@dataclass(frozen=True, slots=True)
class Curve:
    """y = start + effect / (1 + (EC50 / dose)^hill), hill > 0: ``start`` at dose 0, ``end`` at infinite dose.

    ``log_ec50`` is in log10 dose, ``low`` and ``high`` are the ends of its interval, infinite where that is open.
    ``errors`` are the standard errors of log_ec50, hill, start and end, ``p`` is that of the F test against a constant,
    ``r2`` the share of the weighted variance explained.
    """

    log_ec50: float
    low: float
    high: float
    hill: float
    start: float
    effect: float
    errors: tuple[float, float, float, float]
    r2: float
    p: float

    @property
    def end(self) -> float:
        """Response at infinite dose."""
        return self.start + self.effect


def response(log_dose: npt.ArrayLike, log_ec50: float, hill: float, start: float, end: float) -> Floats:
    """Responses (n,) at log10 doses (n,), -inf for dose 0."""
    return start + (end - start) * _rise(np.asarray(log_dose, dtype=np.float64), log_ec50, hill)


def _rise(log_dose: Floats, log_ec50: npt.ArrayLike, hill: npt.ArrayLike) -> Floats:
    """From 0 at dose 0 to 1 at infinite dose."""
    exponent = np.clip(-np.asarray(hill) * (log_dose - np.asarray(log_ec50)), -300.0, 300.0)
    rise: Floats = 1 / (1 + 10.0**exponent)
    return rise


def replicate_weights(log_dose: Floats, y: Floats) -> Floats:
    """Weights (n,) of mean 1, inverse to the variance of the replicates at each dose.

    The variance of a few replicates is a guess: it is drawn to the variance pooled over all doses, which counts for 4
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


def fit_curve(log_dose: Floats, y: Floats, weights: Floats, *, confidence: float) -> Curve:
    """Most likely curve through wells: log10 doses (n,), -inf for dose 0, responses and weights (n,); n > 4.

    All EC50s from two decades below to two above the doses and slopes from 0.3 to 8 are tried, the two ends being
    linear given these; SciPy's least_squares goes on from the best. The interval of the EC50 is that of the profile
    likelihood: EC50s whose best weighted sum of squares is at most 1 + F(1, n - 4) / (n - 4) times the least (Bates &
    Watts 1988). It holds ``confidence`` of the EC50s if wells vary independently; layout effects are not in it.
    """
    finite = log_dose[np.isfinite(log_dose)]
    trials = np.arange(finite.min() - _BEYOND, finite.max() + _BEYOND + _STEP, _STEP)
    squares, slopes = _profile(log_dose, y, weights, trials)
    best = int(np.argmin(squares))
    root = np.sqrt(weights)

    def residuals(q: Floats) -> Floats:
        out: Floats = root * (response(log_dose, q[0], q[1], q[2], q[3]) - y)
        return out

    start, end = _ends(_rise(log_dose, trials[best], slopes[best]), y, weights)
    bounds = ([trials[0], _HILLS[0], -np.inf, -np.inf], [trials[-1], _HILLS[-1], np.inf, np.inf])
    scale = max(float(np.ptp(y)), np.finfo(np.float64).tiny)
    found = least_squares(
        residuals,
        [trials[best], slopes[best], start, end],
        bounds=bounds,
        x_scale=[0.1, 0.5, scale, scale],
        max_nfev=60,  # it starts at the best of a fine grid; a flat valley is not worth more
    )
    log_ec50, hill, start, end = (float(q) for q in found.x)
    least = min(2 * float(found.cost), float(squares[best]))
    freedom = y.size - PARAMETERS
    below = trials < log_ec50
    limit = least * (1 + float(fdtri(1, freedom, confidence)) / freedom)

    def profile(trial: float) -> float:
        return float(_profile(log_dose, y, weights, np.array([trial]))[0][0])

    total = float(weights @ (y - np.average(y, weights=weights)) ** 2)
    f = (total - least) / 3 / max(least / freedom, np.finfo(np.float64).tiny)
    return Curve(
        log_ec50,
        _bound(log_ec50, trials[below][::-1], squares[below][::-1], limit, profile, never=-np.inf),
        _bound(log_ec50, trials[~below], squares[~below], limit, profile, never=np.inf),
        hill,
        start,
        end - start,
        _errors(found.jac, least / freedom),
        1 - least / total if total > 0 else float("nan"),
        float(fdtrc(3, freedom, max(f, 0.0))),
    )


def _ends(rise: Floats, y: Floats, weights: Floats) -> tuple[float, float]:
    """Best start and end of the curve of this ``rise`` (n,)."""
    root = np.sqrt(weights)
    found = np.linalg.lstsq(np.column_stack([1 - rise, rise]) * root[:, None], y * root, rcond=None)[0]
    return float(found[0]), float(found[1])


def _profile(log_dose: Floats, y: Floats, weights: Floats, trials: Floats) -> tuple[Floats, Floats]:
    """Least weighted sum of squares (t,) for each EC50 tried, and the slope (t,) that gives it.

    Slopes of a coarse series first, then golden sections around the best, for all EC50s at once.
    """
    ends = np.log(_HILLS[[0, -1]])
    coarse = _squares(log_dose, y, weights, trials[:, None], _HILLS)
    step = float(ends[1] - ends[0]) / (len(_HILLS) - 1)
    middle = np.log(_HILLS[coarse.argmin(axis=1)])
    low, high = np.maximum(middle - step, ends[0]), np.minimum(middle + step, ends[1])
    for _ in range(_SECTIONS):
        inner, outer = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        first = _squares(log_dose, y, weights, trials, np.exp(inner)) < _squares(
            log_dose, y, weights, trials, np.exp(outer)
        )
        low, high = np.where(first, low, inner), np.where(first, outer, high)
    hills = np.exp((low + high) / 2)
    return _squares(log_dose, y, weights, trials, hills), hills


def _squares(log_dose: Floats, y: Floats, weights: Floats, log_ec50: Floats, hill: Floats) -> Floats:
    """Weighted sum of squares about the best start and end, for EC50s and slopes of any one shape."""
    share = weights / weights.sum()
    y0 = y - share @ y
    rise = _rise(log_dose, log_ec50[..., None], hill[..., None])
    rise = rise - (rise @ share)[..., None]
    steep = rise**2 @ weights
    along = rise @ (weights * y0)
    gained = np.divide(along**2, steep, out=np.zeros_like(along), where=steep > 1e-14 * weights.sum())
    squares: Floats = np.maximum(weights @ y0**2 - gained, 0.0)
    return squares


def _bound(
    best: float, trials: Floats, squares: Floats, limit: float, profile: Callable[[float], float], *, never: float
) -> float:
    """Where the profile first rises above ``limit``, going through ``trials`` away from ``best``; else ``never``."""
    inner = best
    for trial, value in zip(trials, squares, strict=True):
        if value > limit:
            outer = float(trial)
            for _ in range(_HALVINGS):
                middle = (inner + outer) / 2
                inner, outer = (inner, middle) if profile(middle) > limit else (middle, outer)
            return (inner + outer) / 2
        inner = float(trial)
    return never


def _errors(jacobian: Floats, variance: float) -> tuple[float, float, float, float]:
    """Standard errors of the four parameters by the delta method; NaN where the wells do not determine them."""
    information = jacobian.T @ jacobian
    scale = np.sqrt(np.diag(information))
    if not (scale > 0).all() or np.linalg.cond(information / np.outer(scale, scale)) > 1e12:
        return _NAN, _NAN, _NAN, _NAN
    inverse = np.linalg.inv(information / np.outer(scale, scale))
    a, b, c, d = (float(e) for e in np.sqrt(np.diag(inverse) * variance) / scale)
    return a, b, c, d


def margin(error: float, n: int, confidence: float) -> float:
    """Half the width of the interval of a parameter of standard error ``error``, from n wells (Student's t)."""
    return error * float(stdtrit(n - PARAMETERS, (1 + confidence) / 2))
