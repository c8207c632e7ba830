"""Both fits of a plate's and a well's DNA contents, and when they are refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hcs.readout.deanjett import RATIOS, CycleFit, Prior, fit_cycle
from hcs.readout.dna import unclear
from hcs.readout.phases import PHASES, Floats, PhaseModel, bin_content, bin_of
from hcs.readout.settings import ReadoutSettings
from hcs.readout.watson import fit_watson

_USUAL_CV = 0.08
_KOLMOGOROV = 1.36  # over sqrt(n): the distance that chance exceeds in 5 % of samples
_CONFLICT = 3.0  # standard deviations from what the plate lets expect of a well, from which the plate is left aside
_LEAST_IN_PEAKS = 0.1  # of the nuclei, that G1 and G2M must hold together
_LEAST_PROMINENCE = 3.0  # of the higher peak: its density over that three standard deviations beside it


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleFits:
    """The fits of one histogram, each a fit or the reason why there is none, of ``single`` nuclei; ``gated`` are the
    doublets and debris left out before."""

    deanjett: CycleFit | str
    watson: CycleFit | str
    single: int
    gated: int

    @property
    def fractions(self) -> Floats:
        """Fractions (5,) of PHASES by the Dean-Jett-Fox fit; NaN without it."""
        return np.full(len(PHASES), np.nan) if isinstance(self.deanjett, str) else self.deanjett.weights

    @property
    def reason(self) -> str:
        """Why there is no Dean-Jett-Fox fit; empty where there is one."""
        return self.deanjett if isinstance(self.deanjett, str) else ""


def refused(reason: str, *, single: int, gated: int) -> CycleFits:
    """No fit, for one reason."""
    return CycleFits(deanjett=reason, watson=reason, single=single, gated=gated)


def fit_plate(contents: Sequence[Floats], gated: int, settings: ReadoutSettings) -> CycleFits:
    """Fits of a plate from the DNA contents (units of N) of single nuclei, one array a well.

    Wells are first moved onto one another, by the 2N peak of each: stain that differs from well to well would otherwise
    pass for width of the peak.
    """
    pooled = np.concatenate([np.empty(0), *contents])
    if pooled.size < settings.min_nuclei_peak:
        reason = f"{pooled.size} single nuclei, at least {settings.min_nuclei_peak} are needed for a plate"
        return refused(reason, single=pooled.size, gated=gated)
    first = fit_cycle(bin_content(pooled), Prior.of_plate(cv=_USUAL_CV), ratios=RATIOS).model
    aligned = [content * (first.two_n / _position(content, first)) for content in contents]
    counts = bin_content(np.concatenate(aligned))
    fit = fit_cycle(counts, Prior.of_plate(cv=first.cv), ratios=RATIOS)
    return CycleFits(
        deanjett=_accepted(fit, settings),
        watson=_watson(counts, fit.model, settings),
        single=pooled.size,
        gated=gated,
    )


def fit_well(
    content: Floats, plate: PhaseModel, settings: ReadoutSettings, *, gated: int, saturated: float
) -> CycleFits:
    """Fits of a well from the DNA contents (n,) of its single nuclei, in units of N, by its plate's model.

    ``saturated`` is the share of these nuclei with saturated DNA pixels, NaN where not recorded.
    """
    n = content.size
    if n < settings.cycle.min_nuclei:
        return refused(f"{n} single nuclei, at least {settings.cycle.min_nuclei} needed", single=n, gated=gated)
    if saturated > settings.max_saturated:
        reason = (
            f"{saturated:.0%} of the nuclei have saturated DNA pixels (at most {settings.max_saturated:.0%} allowed), "
            "so their DNA content is clipped"
        )
        return refused(reason, single=n, gated=gated)
    counts = bin_content(content)
    fit = _fit_well(counts, plate)
    return CycleFits(deanjett=_accepted(fit, settings), watson=_watson(counts, plate, settings), single=n, gated=gated)


def _fit_well(counts: Floats, plate: PhaseModel) -> CycleFit:
    """The fit of a well by its plate's model; where its peaks are plainly not as wide, or not as far apart, as the
    plate's, they decide alone."""
    prior = Prior.of_well(plate)
    fit = fit_cycle(counts, prior)
    wider = abs(np.log(fit.model.cv / plate.cv)) / prior.cv_sd
    apart = abs(np.log(fit.model.four_n_ratio / plate.four_n_ratio)) / prior.ratio_sd
    if max(wider, apart) <= _CONFLICT:
        return fit
    return fit_cycle(counts, replace(prior, cv_sd=1.0, ratio_sd=0.1))


def _position(content: Floats, plate: PhaseModel) -> float:
    """DNA content of a well's 2N peak."""
    return fit_cycle(bin_content(content), Prior.of_well(plate)).model.two_n if content.size else plate.two_n


def _accepted(fit: CycleFit, settings: ReadoutSettings) -> CycleFit | str:
    """The fit, or why it is refused."""
    reason = _no_peak(fit) or unclear(fit, settings)
    excess = fit.misfit - _KOLMOGOROV / np.sqrt(fit.n)
    if not reason and excess > settings.cycle.max_misfit:
        reason = (
            f"the model does not describe the nuclei: their cumulative histograms are {fit.misfit:.2f} apart, at most "
            f"{settings.cycle.max_misfit:g} beyond chance allowed; the stain may have failed"
        )
    return reason or fit


def _no_peak(fit: CycleFit) -> str:
    """Why a fit has no peak; empty where it has one."""
    in_peaks = float(fit.weights[1] + fit.weights[3])
    if in_peaks < _LEAST_IN_PEAKS:
        return f"no peak: G1 and G2M hold {in_peaks:.0%} of the nuclei, at least {_LEAST_IN_PEAKS:.0%} needed"
    middles = fit.model.two_n * np.array([1, fit.model.four_n_ratio])
    reach = 3 * fit.model.cv * middles
    density = fit.weights @ fit.model.shapes()
    top, left, right = (density[bin_of(at)] for at in (middles, middles - reach, middles + reach))
    prominence = float((2 * top / (left + right)).max())
    if prominence < _LEAST_PROMINENCE:
        return (
            f"no peak: the nuclei lie {prominence:.1f} times as dense at the higher one as beside it, at least "
            f"{_LEAST_PROMINENCE:g} needed"
        )
    return ""


def _watson(counts: Floats, plate: PhaseModel, settings: ReadoutSettings) -> CycleFit | str:
    fit = fit_watson(counts, plate, ratios=settings.four_n_ratio)
    return fit if isinstance(fit, str) else unclear(fit, settings) or fit
