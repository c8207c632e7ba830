"""Both fits of a plate's and a well's DNA contents, and when they are refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hcs.readout.cycle.columns import PHASES
from hcs.readout.cycle.deanjett import RATIOS, CycleFit, Prior, fit_cycle, fit_wave
from hcs.readout.cycle.dna import unclear
from hcs.readout.cycle.phases import EDGES_N, Floats, PhaseModel, bin_content, bin_of
from hcs.readout.cycle.watson import fit_watson
from hcs.readout.settings import ReadoutSettings

_USUAL_CV = 0.08
_KOLMOGOROV = 1.36  # over sqrt(n): the distance that chance exceeds in 5 % of samples
_SUSPECT = 1.5  # standard deviations from what the plate lets expect of a well, from which other fits are tried
_CLEAR_GAIN, _NO_GAIN = 6.0, 3.0  # of log posterior by a wave: above, there is one; below, there is none
_PEAK_GAINS = 2.0  # times what a wave gains on the plate's own wells, that it has to gain more
_SAME = 0.05  # fractions that differ by less are one reading
_BELOW_MISFITS = 3.0  # times the largest misfit, with the nuclei below G1 counted
_AWAY = 3.0  # spreads of the plate's 2N peaks, from which a peak needs a second one beside it
_FAR = 0.1  # from the plate's 2N peak, from where it does in any case, however much the plate's wells differ
_PAIR, _PAIR_NUCLEI = 0.02, 8.0  # G2M nuclei that make a second peak, as a fraction and as a number
_SMEARED = 0.07  # of S: a wider wave is no wave but an S phase of another shape
_HIDDEN = 2.0  # times the S seen beside a peak, that may be under it beyond what is thought
_MIDDLE_OF_S = 0.1  # from the middle of S, within which S crowds beside no peak
_CROWDED = 0.03  # fraction of S under a peak, from which S of another shape than the plate's is not told
_EDGE = 0.05  # of S: nearer to a peak no wave is looked for
_WATSON_APART = 0.05  # by which the two models may differ, beyond chance
_LEAST_FOR_SPREAD = 50  # nuclei of a well whose peak's place is counted
_LEAST_EXPECTED, _FITTED = 8.0, 9  # nuclei of a group in the chi-square, and parameters that the histogram sets
_CHANCE, _LITTLE = 2.3, 0.01  # standard deviations of chi-square, and share of n, that count as explained
USUAL_SPREAD = 0.03
"""By how much the 2N peaks of wells differ, as the standard deviation of their logarithms."""
_MIDDLES: Floats = (EDGES_N[:-1] + EDGES_N[1:]) / 2
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
    spread: float = USUAL_SPREAD
    """Of a plate: by how much the 2N peaks of its wells differ; see ``spread_of``."""
    peak_gain: float = 0.0
    """Of a plate: what a wave gains of log posterior by nucleus. The plate's wells have none, so that it is peaks which
    are no Gaussians that gain it."""

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
        watson=_beside(_watson(counts, fit.model, settings), fit),
        single=pooled.size,
        gated=gated,
        spread=spread_of(contents, fit.model),
        peak_gain=_peak_gain(counts, fit),
    )


def fit_well(
    content: Floats,
    plate: PhaseModel,
    settings: ReadoutSettings,
    *,
    gated: int,
    saturated: float,
    spread: float = USUAL_SPREAD,
    peak_gain: float = 0.0,
) -> CycleFits:
    """Fits of a well from the DNA contents (n,) of its single nuclei, in units of N, by its plate's model.

    ``saturated`` is the share of these nuclei with saturated DNA pixels, NaN where not recorded; ``spread`` by how much
    the 2N peaks of the plate's wells differ (standard deviation of logarithms), ``peak_gain`` what a wave gains on the
    plate's own wells, by nucleus: both of CycleFits of the plate.
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
    fit = _fit_well(counts, plate, spread, peak_gain)
    if isinstance(fit, CycleFit):
        fit = _accepted(fit, settings, spread)
    return CycleFits(
        deanjett=fit,
        watson=_beside(_watson(counts, plate, settings), fit),
        single=n,
        gated=gated,
    )


def _fit_well(counts: Floats, plate: PhaseModel, spread: float, peak_gain: float) -> CycleFit | str:
    """The fit of a well by its plate's model, or why two readings of its histogram stand equal.

    The plain model comes first. Where it leaves something unexplained, lies away from the plate's peak or is wider, a
    wave in S is tried: cells held in early S make one peak at 2.2 to 2.5 N, which a plain model calls G1. Where
    the peaks are plainly not as wide as the plate's, they decide alone.
    """
    prior = Prior.of_well(plate, spread=spread)
    fit = fit_cycle(counts, prior)
    away = abs(np.log(fit.model.two_n / plate.two_n)) / spread
    wider = abs(np.log(fit.model.cv / plate.cv)) / prior.cv_sd
    apart = abs(np.log(fit.model.four_n_ratio / plate.four_n_ratio)) / prior.ratio_sd
    if max(away, wider, apart) < _SUSPECT and _explained(counts, fit):
        return fit
    if wider > _SUSPECT:
        free = fit_cycle(counts, replace(prior, cv_sd=1.0))
        fit = free if free.height > fit.height + _NO_GAIN else fit
    wave = fit_wave(counts, prior, places=_places(counts, plate))
    gain = wave.height - fit.height - _PEAK_GAINS * peak_gain * fit.n
    if gain > _CLEAR_GAIN:
        return wave
    if gain > _NO_GAIN and np.abs(wave.weights - fit.weights).max() > _SAME:
        return (
            f"the nuclei can be read in two ways: G1 {fit.weights[1]:.0%} and S {fit.weights[2]:.0%}, or G1 "
            f"{wave.weights[1]:.0%} and S {wave.weights[2]:.0%} with cells that stand together at "
            f"{place_of_wave(wave):.1f} N"
        )
    return fit


def _peak_gain(counts: Floats, fit: CycleFit) -> float:
    """What a wave gains of log posterior, by nucleus, on the wells of a plate with a ``fit`` of its own."""
    prior = Prior.of_well(fit.model)
    wave = fit_wave(counts, prior, places=_places(counts, fit.model))
    return max(wave.height - fit_cycle(counts, prior).height - _NO_GAIN, 0.0) / fit.n


def _places(counts: Floats, plate: PhaseModel) -> list[float]:
    """Places in S to look for a wave from: where the nuclei are densest between the peaks, and the middle of S."""
    smooth = np.convolve(counts, np.ones(5) / 5, mode="same")
    place = (_MIDDLES / plate.two_n - 1) / (plate.four_n_ratio - 1)
    within = (place > _EDGE) & (place < 1 - _EDGE)
    return sorted({float(place[within][np.argmax(smooth[within])]), 0.5})


def _explained(counts: Floats, fit: CycleFit) -> bool:
    """Whether the histogram differs from the model by no more than chance, or by too little to matter (chi-square)."""
    expected = counts.sum() * (fit.weights @ fit.model.shapes())
    upto = bin_of(np.array([_top_n(fit.model)]))[0]
    _, group = np.unique(np.floor(np.cumsum(expected[:upto]) / _LEAST_EXPECTED), return_inverse=True)
    seen, thought = np.bincount(group, counts[:upto]), np.bincount(group, expected[:upto])
    square = float(((seen - thought) ** 2 / np.maximum(thought, 1.0)).sum())
    freedom = max(seen.size - _FITTED, 1)
    return bool(square - freedom < max(_CHANCE * np.sqrt(2 * freedom), _LITTLE * fit.n))


def _top_n(model: PhaseModel) -> float:
    """DNA content at which G2M ends."""
    four_n = model.two_n * model.four_n_ratio
    return four_n * (1 + 2 * model.cv)


def place_of_wave(fit: CycleFit) -> float:
    """DNA content of the wave, in N of the plate."""
    model = fit.model
    return model.two_n * (1 + (model.four_n_ratio - 1) * model.wave_place)


def _stained(fit: CycleFit, spread: float) -> str:
    """Why a peak away from the plate's cannot be called 2N: there is no second one that would show that the stain
    differs; empty where there is, or where the peak lies where the plate's does."""
    away = float(np.log(fit.model.two_n / 2))
    if abs(away) <= min(_AWAY * spread, _FAR) or fit.weights[3] >= max(_PAIR, _PAIR_NUCLEI / fit.n):
        return ""
    return (
        f"the highest peak lies at {fit.model.two_n:.2f} N, {abs(np.expm1(away)):.0%} "
        f"{'above' if away > 0 else 'below'} the plate's 2N peak, whose wells differ by {spread:.0%}, and no 4N peak "
        "shows that the stain differs: cells in early S, or stained otherwise"
    )


def _position(content: Floats, plate: PhaseModel) -> float:
    """DNA content of a well's 2N peak."""
    return fit_cycle(bin_content(content), Prior.of_well(plate)).model.two_n if content.size else plate.two_n


def spread_of(contents: Sequence[Floats], plate: PhaseModel) -> float:
    """By how much the 2N peaks of a plate's wells differ (standard deviation of logarithms), from the DNA contents of
    some of its wells; few wells say little, so that what is usual counts as three wells."""
    places = [np.log(_position(content, plate)) for content in contents if content.size >= _LEAST_FOR_SPREAD]
    squares = float(np.var(places) * len(places)) if places else 0.0
    return float(np.sqrt((3 * USUAL_SPREAD**2 + squares) / (3 + max(len(places) - 1, 0))))


def margins(fit: CycleFit) -> Floats:
    """Half-widths (5,) of what a fit leaves open about the fractions: chance and model (95 %), and with them the S
    cells under G1 and G2M, which no histogram shows: S as dense as beside each peak, over two standard deviations of
    it, may be twice as much more or none. NaN for a fit without standard deviations."""
    if fit.sd is None:
        return np.full(len(PHASES), np.nan)
    early, late = unseen(fit)
    hidden = _HIDDEN * np.array([0.0, early, early + late, late, 0.0])
    return np.asarray(np.hypot(1.96 * fit.sd, hidden))


def unseen(fit: CycleFit) -> tuple[float, float]:
    """Fractions of S under G1 and under G2M, by its density two standard deviations beside each; a wave that is
    narrower than what staining does to it is seen whole, and left out."""
    model = fit.model
    told = fit.model if model.wave_width > _SMEARED else replace(model, wave=0.0)
    share = fit.weights[2] * (1 - model.wave if model.wave_width <= _SMEARED else 1.0)
    density = share * told.shapes()[2] / EDGES_N[1]
    reach = 2 * model.cv * model.two_n * np.array([1, model.four_n_ratio])
    beside = model.two_n * np.array([1, model.four_n_ratio]) + reach * np.array([1, -1])
    early, late = density[bin_of(beside)] * reach
    return float(early), float(late)


def _accepted(fit: CycleFit, settings: ReadoutSettings, spread: float | None = None) -> CycleFit | str:
    """The fit, or why it is refused; ``spread`` is that of the plate's 2N peaks, for a well."""
    reason = _no_peak(fit) or unclear(fit, settings)
    chance = _KOLMOGOROV / np.sqrt(fit.n)
    most = settings.cycle.max_misfit
    for misfit, limit in ((fit.misfit, most), (fit.misfit_below, _BELOW_MISFITS * most)):
        if not reason and misfit - chance > limit:
            reason = (
                f"the model does not describe the nuclei: their cumulative histograms are {misfit:.2f} apart, at most "
                f"{limit:g} beyond chance allowed; the stain may have failed"
            )
    if spread is not None and not fit.model.wave:
        reason = reason or _stained(fit, spread)
    return reason or _open(fit, settings) or fit


def _open(fit: CycleFit, settings: ReadoutSettings) -> str:
    """Why the fractions of a fit with a wave are not told well enough; empty where they are."""
    if not fit.model.wave or fit.sd is None:
        return ""
    chance = fit.weights * (1 - fit.weights) / fit.n
    beyond = float(np.sqrt(np.maximum(fit.sd**2 - chance, 0)).max())
    if beyond > settings.cycle.max_uncertainty:
        return (
            f"S cells stand together at {place_of_wave(fit):.2f} N, too near a peak to be told from it: fractions are "
            f"uncertain by {100 * beyond:.0f} points (standard deviation), at most "
            f"{100 * settings.cycle.max_uncertainty:g} allowed"
        )
    early = fit.model.wave_place < 0.5
    hidden = unseen(fit)[0 if early else 1]
    if hidden > _CROWDED and abs(fit.model.wave_place - 0.5) > _MIDDLE_OF_S:
        peak = "G1" if early else "G2M"
        return (
            f"S is not spread as on the plate but crowds beside {peak}, where {100 * hidden:.0f} points of it cannot "
            f"be told from {peak}; at most {100 * _CROWDED:g} allowed"
        )
    return ""


def _no_peak(fit: CycleFit) -> str:
    """Why a fit has no peak; empty where it has one."""
    in_peaks = float(fit.weights[1] + fit.weights[3])
    if in_peaks < _LEAST_IN_PEAKS and fit.model.wave * fit.weights[2] > _LEAST_IN_PEAKS:
        return (
            f"no peak but one at {place_of_wave(fit):.2f} N: G1 and G2M hold {in_peaks:.0%} of the nuclei, at least "
            f"{_LEAST_IN_PEAKS:.0%} needed to tell cells that stand in S from another stain"
        )
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


def _beside(watson: CycleFit | str, deanjett: CycleFit | str) -> CycleFit | str:
    """Watson's fit, or why it is refused: it has no model of S, and where it differs plainly from the other, which
    has, the difference is its own."""
    if isinstance(watson, str):
        return watson
    if isinstance(deanjett, str):
        return f"the Dean-Jett-Fox fit is refused: {deanjett}"
    apart = np.abs(watson.weights - deanjett.weights)
    worst = int(apart.argmax())
    chance = 1.96 * np.sqrt(deanjett.weights[worst] * (1 - deanjett.weights[worst]) / deanjett.n)
    if apart[worst] > _WATSON_APART + chance:
        return (
            f"its {PHASES[worst]} is {watson.weights[worst]:.0%}, {100 * apart[worst]:.0f} points from the "
            f"Dean-Jett-Fox fit; at most {100 * (_WATSON_APART + chance):.0f} allowed"
        )
    return watson


def _watson(counts: Floats, plate: PhaseModel, settings: ReadoutSettings) -> CycleFit | str:
    fit = fit_watson(counts, plate, ratios=settings.four_n_ratio)
    return fit if isinstance(fit, str) else unclear(fit, settings) or fit
