"""The Dean-Jett-Fox fit of one histogram of DNA content: peaks, S phase and phase fractions together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hcs.readout.cycle.phases import EDGES_N, Floats, PhaseModel, Thirds, basis, phases_of

RATIOS = (1.7, 2.2)
"""4N/2N ratios to start from beside the expected one, where nothing is known of it: a second peak is found that lies
where none should."""
_USUAL_RATIO = 1.97
_USUAL_S: Thirds = (0.27, 0.46, 0.27)
_WAVE_WEIGHTS = (0.02, 0.25, 0.58, 0.13, 0.02)  # the same with a wave
_START = (0.02, 0.5, 0.26, 0.2, 0.02)  # weights to start from, in the order of PHASES
# A point's 17 parameters: all logarithms but the wave's place.
_WEIGHTS, _BELOW, _S, _PEAKS = slice(0, 5), slice(5, 8), slice(8, 12), slice(12, 17)
_WAVE_SHARE, _WAVE_PLACE, _WAVE_WIDTH = 11, 15, 16
_PLAIN: npt.NDArray[np.intp] = np.array([i for i in range(17) if i not in (_WAVE_SHARE, _WAVE_PLACE, _WAVE_WIDTH)])
_ALL: npt.NDArray[np.intp] = np.arange(17)
_LOWEST: Floats = np.array([np.log(0.75), np.log(0.01), np.log(1.5), 0.03, np.log(0.01)])
_HIGHEST: Floats = np.array([np.log(1.33), np.log(0.4), np.log(2.6), 0.97, np.log(0.2)])
_NUDGE = (1e-4, 1e-3, 1e-4, 1e-3, 1e-2)  # of log position, CV and ratio, place and log width, for derivatives
_NO_WAVE = -40.0  # log share
_WAVE_START = (0.5, 0.04)  # place and width
_WAVE_SHARE_SD, _WAVE_PLACE_SD, _WAVE_WIDTH_SD = 3.0, 0.5, 0.7
_WEIGHT_SD = 10.0  # of the log weights' prior: keeps a phase without a nucleus from running to minus infinity
_BELOW_SD = 1.0  # of sub-G1's log shares
_LARGEST_STEP = 2.0  # of any parameter, each being a logarithm
_CONVERGED = 1e-3  # gain in log-likelihood below which a fit ends
_ROUGHLY = 0.3  # the same while the best of several starts is looked for
_MOST_STEPS = 60

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What is known before a fit: the model expected, and by how much (standard deviations of logarithms) a fit may
    differ from it."""

    expected: PhaseModel
    two_n_sd: float
    cv_sd: float
    ratio_sd: float
    s_shape_sd: float

    @classmethod
    def of_plate(cls, *, cv: float) -> Prior:
        """For the nuclei of a plate, of whose peaks only the usual 4N/2N of image cytometry is known.

        What S does under the peaks, no histogram shows: it is expected to thin out there a little, between a flat S
        phase and a well-rounded one, either of which is then off by a point or so at a CV of 5 %.
        """
        expected = PhaseModel(cv=cv, four_n_ratio=_USUAL_RATIO, s_shape=_USUAL_S)
        return cls(expected=expected, two_n_sd=0.3, cv_sd=1.0, ratio_sd=0.02, s_shape_sd=0.5)

    @classmethod
    def of_well(cls, plate: PhaseModel, *, spread: float = 0.03) -> Prior:
        """For a well of a plate already fitted: the stain differs by ``spread`` from well to well, the width of the
        peaks by 10 %, the ratio by 1 %. With 100 nuclei the plate decides, with 1,000 the well does."""
        return cls(expected=plate, two_n_sd=spread, cv_sd=0.1, ratio_sd=0.01, s_shape_sd=0.2)

    def parameters(self) -> tuple[Floats, Floats]:
        """Prior means and precisions of the fit's 17 parameters; those of a wave say little."""
        model = self.expected
        peaks = np.log([model.two_n / 2, model.cv, model.four_n_ratio])
        wave = (_WAVE_START[0], np.log(_WAVE_START[1]))
        mean = np.concatenate([np.zeros(5), np.log(model.below_shape), np.log(model.s_shape), [0.0], peaks, wave])
        sd = [_WEIGHT_SD] * 5 + [_BELOW_SD] * 3 + [self.s_shape_sd] * 3 + [_WAVE_SHARE_SD]
        sd += [self.two_n_sd, self.cv_sd, self.ratio_sd, _WAVE_PLACE_SD, _WAVE_WIDTH_SD]
        return mean, np.array(sd) ** -2


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleFit:
    """A fitted histogram: ``weights`` (5,) are the fractions of PHASES, ``n`` the nuclei."""

    model: PhaseModel
    weights: Floats
    n: int
    misfit: float
    """Distance between the cumulative histograms of nuclei and model, 0 to 1; see ``distance``."""
    misfit_below: float = 0.0
    """The same with the nuclei below G1."""
    height: float = float("nan")
    """Log posterior density at the fit, by which fits of one histogram compare; NaN where there is no prior."""
    sd: Floats | None = None
    """Standard deviations (5,) of the fractions, chance and what the model leaves open together."""

    def probabilities(self) -> Floats:
        """Probability (B, 5) that a nucleus of each EDGES_N bin is in each phase of PHASES."""
        joint = (self.weights[:, None] * self.model.shapes()).T
        return np.asarray(joint / joint.sum(axis=1, keepdims=True))


def fit_cycle(counts: Floats, prior: Prior, *, ratios: tuple[float, ...] = ()) -> CycleFit:
    """Most probable model and weights of ``counts`` (B,) over EDGES_N, of at least one nucleus.

    14 parameters, all logarithms: 5 weights, 3 shares of sub-G1, 3 of S, position, CV and ratio of the peaks. They are
    found by Levenberg-Marquardt steps on the penalised multinomial likelihood with its expected information (Fisher
    scoring), from what the prior expects and from further ``ratios``; the best is taken. Model after Dean & Jett,
    J. Cell Biol. 60, 523 (1974) and Fox, Cytometry 1, 71 (1980).
    """
    mean, precision = prior.parameters()
    start = mean.copy()
    start[_WEIGHTS] = np.log(_START)
    start[_WAVE_SHARE] = _NO_WAVE
    starts = [start]
    for ratio in ratios:
        starts.append(start.copy())
        starts[-1][_PEAKS.start + 2] = np.log(ratio)
    tops = [_climb(point, counts, _Known(mean, precision, _PLAIN)) for point in starts]
    return _result(max(tops, key=lambda top: top[1]), counts, _PLAIN)


def fit_wave(counts: Floats, prior: Prior, *, places: Sequence[float]) -> CycleFit:
    """The same with three parameters more: share, place and width of a wave in S, cells that stand together (the
    synchronous S of Fox 1980); from each of ``places`` in S, 0 at 2N and 1 at 4N."""
    mean, precision = prior.parameters()
    start = mean.copy()
    start[_WEIGHTS] = np.log(_WAVE_WEIGHTS)
    known = _Known(mean, precision, _ALL)
    tops = []
    for place in places:
        start[_WAVE_PLACE] = place
        tops.append(_climb(start, counts, known, enough=_ROUGHLY))
    best = max(tops, key=lambda top: top[1])[0]
    return _result(_climb(best, counts, known), counts, _ALL)


@dataclass(frozen=True, slots=True)
class _Known:
    """What a climb goes by: prior means and precisions (17,) of the parameters, and which of them are free (F,)."""

    mean: Floats
    precision: Floats
    free: Indices


def _climb(point: Floats, counts: Floats, known: _Known, *, enough: float = _CONVERGED) -> tuple[Floats, float, Floats]:
    """The top of the log posterior next to a point, its height, and the expected information (F, F) of the ``free``
    parameters there; steps that gain less than ``enough`` end the climb."""
    free = known.free
    parts = _parts(point[_PEAKS], waves=free.size == _ALL.size)
    value, gradient, information = _slopes(point, parts, counts, known)
    damping = 1e-3
    for _ in range(_MOST_STEPS):
        damped = information + damping * np.diag(np.diag(information))
        trial = point.copy()
        trial[free] += np.clip(np.linalg.solve(damped, gradient), -_LARGEST_STEP, _LARGEST_STEP)
        trial[_PEAKS] = np.clip(trial[_PEAKS], _LOWEST, _HIGHEST)
        parts = _parts(trial[_PEAKS], waves=free.size == _ALL.size)
        height = _log_posterior(trial, parts, counts, known)
        if height < value:
            damping *= 10
            if damping > 1e6:
                break
            continue
        gain, point, damping = height - value, trial, max(damping / 10, 1e-6)
        value = height
        if gain < enough:
            break
        value, gradient, information = _slopes(point, parts, counts, known)
    return point, value, information


def _result(top: tuple[Floats, float, Floats], counts: Floats, free: Indices) -> CycleFit:
    point, height, information = top
    two_n, cv, ratio = (float(value) for value in np.exp(point[_PEAKS][:3]))
    in_s = _shares(point[_S])
    wave = float(in_s[3]) if free.size == _ALL.size else 0.0
    early, middle, late = (float(share) for share in in_s[:3] / in_s[:3].sum())
    model = PhaseModel(
        cv=cv,
        four_n_ratio=ratio,
        two_n=2 * two_n,
        s_shape=(early, middle, late),
        below_shape=_thirds(point[_BELOW]),
        wave=wave,
        wave_place=float(point[_WAVE_PLACE]),
        wave_width=float(np.exp(point[_WAVE_WIDTH])) if wave else 0.0,
    )
    weights = _shares(point[_WEIGHTS])
    return CycleFit(
        model=model,
        weights=weights,
        n=round(float(counts.sum())),
        misfit=distance(counts, weights @ model.shapes(), model),
        misfit_below=distance(counts, weights @ model.shapes(), model, below=True),
        height=height,
        sd=_standard_deviations(weights, information),
    )


def _standard_deviations(weights: Floats, information: Floats) -> Floats:
    """Standard deviations (5,) of the fractions: those of their logarithms, by the information of all parameters, of
    which these come first, taken along the slopes of the fractions (delta method)."""
    covariance = np.linalg.pinv(information)[: weights.size, : weights.size]
    slopes = np.diag(weights) - np.outer(weights, weights)
    return np.asarray(np.sqrt(np.maximum(np.diag(slopes @ covariance @ slopes.T), 0.0)))


def distance(counts: Floats, density: Floats, model: PhaseModel, *, below: bool = False) -> float:
    """Largest difference between the cumulative histograms (B,) of nuclei and model (Kolmogorov-Smirnov), from where G1
    begins (or from 0, ``below``) to where G2M ends: how the nuclei outside are spread says nothing of the phases in
    between."""
    first = 0 if below else int(np.searchsorted(EDGES_N, model.two_n * (1 - 2 * model.cv)))
    last = int(np.searchsorted(EDGES_N, model.two_n * model.four_n_ratio * (1 + 2 * model.cv)))
    return float(np.abs(np.cumsum(counts[first:last]) / counts.sum() - np.cumsum(density[first:last])).max(initial=0.0))


def _shares(logarithms: Floats) -> Floats:
    """Positive numbers that add up to 1."""
    powers = np.exp(logarithms - logarithms.max())
    return np.asarray(powers / powers.sum())


def _thirds(logarithms: Floats) -> Thirds:
    first, second, third = (float(share) for share in _shares(logarithms))
    return first, second, third


def _parts(peaks: Floats, *, waves: bool) -> Floats:
    return basis(
        cv=float(np.exp(peaks[1])),
        four_n_ratio=float(np.exp(peaks[2])),
        two_n=2 * float(np.exp(peaks[0])),
        wave_place=float(peaks[3]),
        wave_width=float(np.exp(peaks[4])) if waves else 0.0,
    )


def _phases(point: Floats, parts: Floats) -> Floats:
    return phases_of(parts, _shares(point[_BELOW]), _shares(point[_S]))


def _log_posterior(point: Floats, parts: Floats, counts: Floats, known: _Known) -> float:
    """Log posterior at a point whose ``parts`` (10, B) are known, as making them takes longest."""
    density = _shares(point[_WEIGHTS]) @ _phases(point, parts)
    away = (point - known.mean)[known.free]
    return float(counts @ np.log(density) - 0.5 * known.precision[known.free] @ away**2)


def _slopes(point: Floats, parts: Floats, counts: Floats, known: _Known) -> tuple[float, Floats, Floats]:
    """Log posterior, its gradient (F,) and its expected information (F, F) by the ``free`` parameters, at a point of
    known ``parts`` (10, B)."""
    free, precision = known.free, known.precision[known.free]
    weights, phases = _shares(point[_WEIGHTS]), _phases(point, parts)
    density = weights @ phases
    jacobian = np.empty((len(point), EDGES_N.size - 1))
    jacobian[_WEIGHTS] = weights[:, None] * (phases - density)
    for shape, weight, phase, own in (
        (_BELOW, weights[0], phases[0], parts[:3]),
        (_S, weights[2], phases[2], parts[4:8]),
    ):
        jacobian[shape] = weight * _shares(point[shape])[:, None] * (own - phase)
    for i, nudge in enumerate(_NUDGE):
        if _PEAKS.start + i in free:
            peaks = point[_PEAKS].copy()
            peaks[i] += nudge
            nudged = _parts(peaks, waves=free.size == _ALL.size)
            jacobian[_PEAKS.start + i] = (weights @ _phases(point, nudged) - density) / nudge
    jacobian = jacobian[free]
    away = (point - known.mean)[free]
    value = float(counts @ np.log(density) - 0.5 * precision @ away**2)
    gradient = jacobian @ (counts / density) - precision * away
    information = (jacobian * (counts.sum() / density)) @ jacobian.T + np.diag(precision)
    return value, gradient, information
