"""How well two groups of wells are separated: Z', robust Z' and SSMD, with generalised confidence intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from hcs.readout.screen.spread import mad_factor
from hcs.readout.settings import ReadoutSettings

Floats = npt.NDArray[np.float64]
_RELATIVE_ZERO = 1e-12  # spread below this share of the values is rounding, not spread


@dataclass(frozen=True, slots=True)
class Moments:
    """Location and spread, each of shape (n,): of one group of wells (n = 1) or of n groups that chance makes."""

    mean: Floats
    sd: Floats
    median: Floats
    mad: Floats


@dataclass(frozen=True, slots=True)
class WellSample:
    """The finite values of one group of wells and their moments; ``pivots`` are what the moments of all wells that
    might have been on the plate may be, (draws,) of each, as far as these wells tell."""

    name: str
    n: int
    missing: int
    observed: Moments
    pivots: Moments


@dataclass(frozen=True, slots=True)
class Statistic:
    """One number with its interval; ``reason`` says why it is NaN."""

    value: float
    low: float
    high: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Separation:
    """All statistics of positive (or compound) wells against negative wells."""

    zprime: Statistic
    robust_zprime: Statistic
    ssmd: Statistic

    @property
    def reason(self) -> str:
        """Why statistics are NaN; one sentence where they share it, empty where all are numbers."""
        named = (("Z'", self.zprime), ("robust Z'", self.robust_zprime), ("SSMD", self.ssmd))
        reasons = {name: s.reason for name, s in named if s.reason}
        if len(reasons) == 3 and len(set(reasons.values())) == 1:
            return self.zprime.reason
        return "; ".join(f"{name}: {text}" for name, text in reasons.items())


def well_sample(values: npt.ArrayLike, *, name: str, settings: ReadoutSettings, stream: int) -> WellSample:
    """Sample of well values (n_wells,) with ``settings.draws`` generalised pivotal quantities of its moments.

    Values that are not finite count as missing. ``stream`` separates the random numbers of the two sides of
    a comparison. The pivots ask which mean and sigma would give these wells: for wells of Gaussian noise,
    sigma = s / s* and mean = m - m* sigma, where m* and s* are the mean and the standard deviation of n standard
    Gaussian numbers (Weerahandi, J. Am. Stat. Assoc. 88, 899, 1993). The same holds for the median and its absolute
    deviation. With few wells s* is often far below 1, so that intervals reach as far as three wells leave open.
    """
    array = np.asarray(values, dtype=np.float64).ravel()
    finite = array[np.isfinite(array)]
    n = finite.size
    empty = np.empty(0)
    none = Moments(empty, empty, empty, empty)
    observed = none if n == 0 else _moments(finite[None])
    if n < max(settings.min_wells, 2):
        return WellSample(name, n, array.size - n, observed, none)
    chance = _standard(n, settings.draws, settings.seed, stream)
    sd, mad = observed.sd / chance.sd, observed.mad / chance.mad
    pivots = Moments(observed.mean - chance.mean * sd, sd, observed.median - chance.median * mad, mad)
    return WellSample(name, n, array.size - n, observed, pivots)


@lru_cache(maxsize=64)
def _standard(n: int, draws: int, seed: int, stream: int) -> Moments:
    """Moments (draws,) of n standard Gaussian numbers; the same for all readouts that as many wells have.

    Every draw has its mirror image (means negated), so that the sign of a readout changes no interval.
    """
    rng = np.random.default_rng((seed, stream, n))
    half = (draws + 1) // 2
    parts = [_moments(rng.standard_normal((min(1000, half - start), n))) for start in range(0, half, 1000)]
    mean, sd, median, mad = (np.concatenate([getattr(part, name) for part in parts]) for name in Moments.__slots__)
    return Moments(*(np.concatenate(two) for two in ((mean, -mean), (sd, sd), (median, -median), (mad, mad))))


def _moments(rows: Floats) -> Moments:
    """Moments of each row of (n, wells); spread that is only rounding is set to 0."""
    n = rows.shape[1]
    ranked = np.sort(rows, axis=1)
    floor = _RELATIVE_ZERO * np.maximum(np.abs(ranked[:, 0]), np.abs(ranked[:, -1]))
    mean = rows.mean(axis=1)
    sd = np.full(rows.shape[0], np.nan)
    if n > 1:
        centred = rows - mean[:, None]
        sd = np.sqrt(np.einsum("ij,ij->i", centred, centred) / (n - 1))
    median = _middle(ranked)
    mad = mad_factor(n) * _middle(np.sort(np.abs(ranked - median[:, None]), axis=1))
    return Moments(mean, np.where(sd <= floor, 0.0, sd), median, np.where(mad <= floor, 0.0, mad))


def _middle(ranked: Floats) -> Floats:
    """Median of each row of (n, wells) that is sorted already."""
    n = ranked.shape[1]
    middle: Floats = (ranked[:, (n - 1) // 2] + ranked[:, n // 2]) / 2
    return middle


def zprime(location_p: Floats, spread_p: Floats, location_n: Floats, spread_n: Floats) -> Floats:
    """Z' = 1 - 3 (s+ + s-) / |m+ - m-| (Zhang et al. 1999), elementwise; NaN for equal locations."""
    gap = np.abs(location_p - location_n)
    ratio = np.divide(spread_p + spread_n, gap, out=np.full(gap.shape, np.nan), where=gap > 0)
    z: Floats = 1 - 3 * ratio
    return z


def ssmd(location_p: Floats, spread_p: Floats, location_n: Floats, spread_n: Floats) -> Floats:
    """SSMD = (m+ - m-) / sqrt(s+^2 + s-^2) of independent groups (Zhang 2007); NaN without spread."""
    spread = np.hypot(spread_p, spread_n)
    d: Floats = np.divide(location_p - location_n, spread, out=np.full(spread.shape, np.nan), where=spread > 0)
    return d


def separate(positive: WellSample, negative: WellSample, *, settings: ReadoutSettings) -> Separation:
    """Z', robust Z' (median and absolute deviation) and SSMD of two groups of wells, each with its interval.

    The intervals are generalised confidence intervals, made of the pivots of both groups: for Gaussian wells of any two
    spreads, 3 to 16 a side, those of 95 % hold the true value in 93 to 97 % of plates. Too few wells, no spread, or
    equal locations give NaN with a reason.
    """
    shortage = "; ".join(filter(None, (_shortage(group, settings) for group in (positive, negative))))
    if shortage:
        return undefined(shortage)
    p, n, pp, pn = positive.observed, negative.observed, positive.pivots, negative.pivots
    names = (positive.name, negative.name)
    alike = _flat(names, (p.mean, p.sd), (n.mean, n.sd), "", "standard deviation")
    same = _flat(names, (p.mean, p.sd), (n.mean, n.sd), "mean", "standard deviation")
    same_robust = alike or _flat(names, (p.median, p.mad), (n.median, n.mad), "median", "MAD")
    share = settings.confidence
    return Separation(
        zprime=_statistic(
            zprime(p.mean, p.sd, n.mean, n.sd), lambda: zprime(pp.mean, pp.sd, pn.mean, pn.sd), same, share
        ),
        robust_zprime=_statistic(
            zprime(p.median, p.mad, n.median, n.mad),
            lambda: zprime(pp.median, pp.mad, pn.median, pn.mad),
            same_robust,
            share,
        ),
        ssmd=_statistic(ssmd(p.mean, p.sd, n.mean, n.sd), lambda: ssmd(pp.mean, pp.sd, pn.mean, pn.sd), alike, share),
    )


def undefined(reason: str) -> Separation:
    """All statistics NaN, for one reason."""
    none = Statistic(np.nan, np.nan, np.nan, reason)
    return Separation(none, none, none)


def compare_wells(positive: npt.ArrayLike, negative: npt.ArrayLike, *, settings: ReadoutSettings) -> Separation:
    """Z', robust Z' and SSMD of positive (n_positive,) against negative (n_negative,) well values."""
    return separate(
        well_sample(positive, name="positive", settings=settings, stream=1),
        well_sample(negative, name="negative", settings=settings, stream=0),
        settings=settings,
    )


def _shortage(group: WellSample, settings: ReadoutSettings) -> str:
    if group.n >= settings.min_wells:
        return ""
    missing = f" ({group.missing} more without a value)" if group.missing else ""
    return f"{group.n} {group.name} wells with a value{missing}, at least {settings.min_wells} needed"


def _flat(
    names: tuple[str, str],
    positive: tuple[Floats, Floats],
    negative: tuple[Floats, Floats],
    location: str,
    spread: str,
) -> str:
    """Why the statistic is undefined: a spread of 0 or (where ``location`` names it) equal locations."""
    still = [name for name, group in zip(names, (positive, negative), strict=True) if not float(group[1].item()) > 0]
    if still and spread == "MAD":
        return f"half or more of the {' and '.join(still)} wells are alike (MAD 0)"
    if still:
        return f"the {' and '.join(still)} wells do not vary"
    if location and positive[0].item() == negative[0].item():
        return f"the {names[0]} and {names[1]} wells have the same {location} ({positive[0].item():.4g})"
    return ""


def _statistic(value: Floats, pivots: Callable[[], Floats], reason: str, confidence: float) -> Statistic:
    """The value with the quantiles of its pivots (draws,); NaN where there is a reason."""
    if reason:
        return Statistic(np.nan, np.nan, np.nan, reason)
    tail = 50 * (1 - confidence)
    low, high = np.percentile(pivots(), [tail, 100 - tail])
    return Statistic(float(value.item()), float(low), float(high))
