"""Telling CDK2-high from CDK2-low nuclei: two components of the log ratio, beside a fixed threshold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hcs.readout.cycle.phases import Floats
from hcs.readout.settings import CycleSettings

Codes = npt.NDArray[np.int8]
_BIN = 0.02  # octaves
_STARTS = (30, 50, 70)  # percentiles at which the ratios are cut in two to start from
_ROUNDS = 500
_CONVERGED = 1e-6  # gain in log-likelihood per nucleus below which a start is given up
_LEAST_SD = 0.02  # octaves
_DEEPEST = 0.8  # of the density at the lower of the two modes, that a dip between them must fall below
CDK2_PHASES = ("G0/G1 CDK2-low", "G1 CDK2-high", "S", "G2")
CDK2_FRACTIONS = ("Fraction_CDK2_G0G1Low", "Fraction_CDK2_G1High", "Fraction_CDK2_S", "Fraction_CDK2_G2")


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorGate:
    """What separates CDK2-low from CDK2-high nuclei on a plate, as sensor ratios (ring over nucleus).

    ``mixture`` is NaN with a ``reason`` where the ratios are not two populations; ``low`` and ``high`` are the
    geometric means of the components, ``share_high`` the part of the higher one, ``separation`` Ashman's D, ``n`` the
    nuclei.
    """

    fixed: float
    mixture: float
    use_mixture: bool
    low: float
    high: float
    share_high: float
    separation: float
    n: int
    source_wells: str
    reason: str

    @property
    def threshold(self) -> float:
        """The ratio above which a nucleus is CDK2-high: the mixture's where there is one and it is asked for."""
        return self.mixture if self.use_mixture and np.isfinite(self.mixture) else self.fixed


class _Mixture(NamedTuple):
    share: Floats
    mean: Floats
    sd: Floats
    likelihood: float


def find_sensor_gate(ratio: Floats, *, fixed: float, source_wells: str, settings: CycleSettings) -> SensorGate:
    """Gate from the sensor ratios (n,) of a plate's negative controls; ratios not above 0 are left out.

    Two Gaussians on log2 ratio, by expectation-maximisation from several starts; the threshold is where a nucleus is as
    likely in one as in the other, between their means. Refused where there are too few nuclei, a component too small,
    the two are closer than ``sensor_min_separation`` by Ashman's D = sqrt(2) |m1 - m2| / sqrt(s1^2 + s2^2) (Ashman,
    Bird & Zepf, Astron. J. 108, 2348, 1994), or the nuclei do not thin out between the two, as those of one broad
    population do not.
    """
    logs = np.log2(ratio[np.isfinite(ratio) & (ratio > 0)])
    nan = float("nan")
    gate = SensorGate(
        fixed=fixed,
        mixture=nan,
        use_mixture=settings.sensor_gate == "mixture",
        low=nan,
        high=nan,
        share_high=nan,
        separation=nan,
        n=logs.size,
        source_wells=source_wells,
        reason="",
    )
    if logs.size < settings.sensor_min_nuclei:
        reason = (
            f"{logs.size} nuclei with a sensor ratio in {source_wells}, at least {settings.sensor_min_nuclei} are "
            "needed to tell two populations"
        )
        return replace(gate, reason=reason)
    found = _fit(logs)
    separation = float(np.sqrt(2) * (found.mean[1] - found.mean[0]) / np.hypot(*found.sd))
    reason = _not_two(found, separation, settings) or _no_dip(logs, found)
    low, high = (float(2**mean) for mean in found.mean)
    return replace(
        gate,
        mixture=nan if reason else _crossing(found),
        low=low,
        high=high,
        share_high=float(found.share[1]),
        separation=separation,
        reason=reason,
    )


def _not_two(found: _Mixture, separation: float, settings: CycleSettings) -> str:
    smaller = float(found.share.min())
    if smaller < settings.sensor_min_share:
        return (
            f"the smaller component of the log ratio holds {smaller:.0%} of the nuclei, at least "
            f"{settings.sensor_min_share:.0%} needed"
        )
    if separation < settings.sensor_min_separation:
        return (
            f"the log ratio is one population: Ashman's D of its two components is {separation:.1f}, at least "
            f"{settings.sensor_min_separation:g} needed"
        )
    return ""


def _no_dip(logs: Floats, found: _Mixture) -> str:
    """Why the nuclei themselves, not their mixture, show no two modes; empty where they do."""
    middle, (low, high) = np.log2(_crossing(found)), found.mean
    reach = 0.25 * min(middle - low, high - middle)
    dip, *modes = (float((np.abs(logs - at) < reach).sum()) for at in (middle, low, high))
    if reach > 0 and dip < _DEEPEST * min(modes):
        return ""
    return (
        f"the log ratio is one population: between its two components the nuclei lie {dip / max(*modes, 1.0):.0%} as "
        f"dense as at the denser one, with no dip of {1 - _DEEPEST:.0%} below both"
    )


def _fit(logs: Floats) -> _Mixture:
    """The likeliest of the mixtures found from several starts, its lower component first."""
    low, high = np.percentile(logs, [0.2, 99.8])
    edges = np.arange(low, high + 2 * _BIN, _BIN)
    counts = np.histogram(np.clip(logs, low, high), bins=edges)[0].astype(np.float64)
    middles = (edges[:-1] + edges[1:]) / 2
    fits = [_from_start(middles, counts, float(np.percentile(logs, start))) for start in _STARTS]
    best = max(fits, key=lambda fit: fit.likelihood)
    order = np.argsort(best.mean)
    return _Mixture(best.share[order], best.mean[order], best.sd[order], best.likelihood)


def _from_start(middles: Floats, counts: Floats, cut: float) -> _Mixture:
    """Expectation-maximisation on a histogram whose values are first told apart at ``cut``."""
    member = np.stack([middles <= cut, middles > cut]).astype(np.float64)
    likelihood = -np.inf
    for _ in range(_ROUNDS):
        weight = np.maximum(member * counts, 1e-12)
        total = weight.sum(axis=1)
        mean = weight @ middles / total
        spread = (weight * (middles - mean[:, None]) ** 2).sum(axis=1) / total
        sd = np.maximum(np.sqrt(spread), _LEAST_SD)
        share = total / total.sum()
        density = (share / sd)[:, None] * np.exp(-0.5 * ((middles - mean[:, None]) / sd[:, None]) ** 2)
        whole = np.maximum(density.sum(axis=0), 1e-300)
        member = density / whole
        before, likelihood = likelihood, float(counts @ np.log(whole)) / float(counts.sum())
        if likelihood - before < _CONVERGED:
            break
    return _Mixture(share, mean, sd, likelihood)


def _crossing(found: _Mixture) -> float:
    """Ratio between the means at which both components are as likely."""
    between = np.linspace(found.mean[0], found.mean[1], 2001)
    away = (between - found.mean[:, None]) / found.sd[:, None]
    surplus = np.log(found.share / found.sd)[:, None] - 0.5 * away**2
    return float(2 ** between[int(np.argmin(np.abs(surplus[0] - surplus[1])))])


def cdk2_fractions(probability: Floats, ratio: Floats, threshold: float) -> Floats:
    """Fractions (4,) of CDK2_PHASES among the nuclei (n,) with a sensor ratio; NaN without any.

    ``probability`` (n, 5) are those of PHASES by DNA content. With sub-G1 and above-4N nuclei the four add up to 1.
    """
    known = np.isfinite(ratio) & np.isfinite(probability[:, 0])
    if not known.any():
        return np.full(len(CDK2_PHASES), np.nan)
    _, g1, s_phase, g2m, _ = probability[known].T
    high = ratio[known] > threshold
    parts = (np.where(high, 0, g1), np.where(high, g1, 0), s_phase, g2m)
    return np.array([float(part.mean()) for part in parts])


def cdk2_phase(phase: Codes, ratio: Floats, threshold: float) -> Codes:
    """Code (n,) of each nucleus in CDK2_PHASES, -1 where it has none, from its code ``phase`` in PHASES (-1: unknown).

    Nuclei below G1, above 4N or without a sensor ratio have none.
    """
    codes = np.full(len(phase), -1, np.int8)
    known = np.isfinite(ratio)
    codes[known & (phase == 1)] = 0
    codes[known & (phase == 1) & (ratio > threshold)] = 1
    codes[known & (phase == 2)] = 2
    codes[known & (phase == 3)] = 3
    return codes
