"""How well two groups of wells are separated: Z', robust Z' and SSMD, with bootstrap intervals over wells."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from hcs.readout.settings import ReadoutSettings

Floats = npt.NDArray[np.float64]
MAD_TO_SD = 1.4826  # 1 / Phi^-1(3/4): makes the median absolute deviation estimate the sigma of a Gaussian
_RELATIVE_ZERO = 1e-12  # spread below this share of the values is rounding, not spread


@dataclass(frozen=True, slots=True)
class Moments:
    """Location and spread, each of shape (n,): of one group of wells (n = 1) or of its n resamples."""

    mean: Floats
    sd: Floats
    median: Floats
    mad: Floats


@dataclass(frozen=True, slots=True)
class WellSample:
    """The finite values of one group of wells, its moments and those of its bootstrap resamples."""

    name: str
    n: int
    missing: int
    observed: Moments
    resampled: Moments


@dataclass(frozen=True, slots=True)
class Statistic:
    """One number with its interval; ``reason`` says why it is NaN, ``dropped`` counts unusable resamples."""

    value: float
    low: float
    high: float
    reason: str = ""
    dropped: int = 0


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

    @property
    def note(self) -> str:
        """Which intervals left resamples out, empty where none did."""
        named = (("Z'", self.zprime), ("robust Z'", self.robust_zprime), ("SSMD", self.ssmd))
        dropped = [f"{s.dropped} for {name}" for name, s in named if s.dropped]
        return f"resamples without spread left out of the interval: {', '.join(dropped)}" if dropped else ""


def well_sample(values: npt.ArrayLike, *, name: str, settings: ReadoutSettings, stream: int) -> WellSample:
    """Sample of well values (n_wells,) and ``settings.bootstrap`` resamples of it, wells drawn anew.

    Values that are not finite count as missing. ``stream`` separates the random numbers of the two sides of
    a comparison. The resampled standard deviations are multiplied by sqrt(n / (n - 1)): drawn from n wells,
    their squares average (n - 1)/n of the sample variance, which with 3 or 4 wells would shift the interval
    of Z' towards flattering values. Even so, percentile intervals of so few wells are too narrow: on
    Gaussian wells, 4 against 8, those of nominal 95 % hold the true Z' in about 75 % of plates.
    """
    array = np.asarray(values, dtype=np.float64).ravel()
    finite = array[np.isfinite(array)]
    n = finite.size
    if n < settings.min_wells:
        empty = np.empty(0)
        none = Moments(empty, empty, empty, empty)
        return WellSample(name, n, array.size - n, none if n == 0 else _moments(finite[None]), none)
    drawn = _moments(finite[_draws(n, settings.bootstrap, settings.seed, stream)])
    widened = Moments(drawn.mean, drawn.sd * np.sqrt(n / (n - 1)), drawn.median, drawn.mad)
    return WellSample(name, n, array.size - n, _moments(finite[None]), widened)


@lru_cache(maxsize=32)
def _draws(n: int, resamples: int, seed: int, stream: int) -> npt.NDArray[np.int64]:
    """Indices (resamples, n) of the wells drawn; the same for all readouts that as many wells have."""
    drawn: npt.NDArray[np.int64] = np.random.default_rng((seed, stream)).integers(0, n, size=(resamples, n))
    drawn.flags.writeable = False
    return drawn


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
    mad = MAD_TO_SD * _middle(np.sort(np.abs(ranked - median[:, None]), axis=1))
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
    """Z', robust Z' (median, 1.4826 MAD) and SSMD of two groups of wells, each with its percentile interval.

    The interval resamples wells within each group (stratified bootstrap). Resamples in which a group shows no
    spread are left out and counted. Too few wells, no spread, or equal locations give NaN with a reason.
    """
    shortage = "; ".join(filter(None, (_shortage(group, settings) for group in (positive, negative))))
    if shortage:
        return undefined(shortage)
    p, n, bp, bn = positive.observed, negative.observed, positive.resampled, negative.resampled
    names = (positive.name, negative.name)
    alike = _flat(names, (p.mean, p.sd), (n.mean, n.sd), "", "standard deviation")
    return Separation(
        zprime=_statistic(
            zprime(p.mean, p.sd, n.mean, n.sd),
            zprime(bp.mean, bp.sd, bn.mean, bn.sd),
            reason=_flat(names, (p.mean, p.sd), (n.mean, n.sd), "mean", "standard deviation"),
            usable=(bp.sd > 0) & (bn.sd > 0),
            settings=settings,
        ),
        robust_zprime=_statistic(
            zprime(p.median, p.mad, n.median, n.mad),
            zprime(bp.median, bp.mad, bn.median, bn.mad),
            reason=alike or _flat(names, (p.median, p.mad), (n.median, n.mad), "median", "MAD"),
            usable=(bp.mad > 0) & (bn.mad > 0),
            settings=settings,
        ),
        ssmd=_statistic(
            ssmd(p.mean, p.sd, n.mean, n.sd),
            ssmd(bp.mean, bp.sd, bn.mean, bn.sd),
            reason=alike,
            usable=(bp.sd > 0) & (bn.sd > 0),
            settings=settings,
        ),
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


def _statistic(
    value: Floats, resamples: Floats, *, reason: str, usable: npt.NDArray[np.bool_], settings: ReadoutSettings
) -> Statistic:
    if reason:
        return Statistic(np.nan, np.nan, np.nan, reason)
    kept = resamples[usable & np.isfinite(resamples)]
    if kept.size < settings.bootstrap // 2:  # what is left would no longer stand for the resamples drawn
        return Statistic(float(value.item()), np.nan, np.nan, dropped=resamples.size - kept.size)
    tail = 50 * (1 - settings.confidence)
    low, high = np.percentile(kept, [tail, 100 - tail])
    return Statistic(float(value.item()), float(low), float(high), dropped=resamples.size - kept.size)
