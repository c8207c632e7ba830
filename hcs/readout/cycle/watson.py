"""Watson's pragmatic fit of one histogram of DNA content: two Gaussian peaks, and S as it is found between them."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from hcs.readout.cycle.deanjett import CycleFit, distance
from hcs.readout.cycle.phases import EDGES_N, Floats, PhaseModel

_MIDDLES: Floats = (EDGES_N[:-1] + EDGES_N[1:]) / 2
_BIN_N = float(EDGES_N[1])
_NEAR = 0.15  # of the plate's 2N peak: how far from it the well's is looked for
_FAR, _INNER = 2.5, 0.75  # standard deviations from a peak's middle that it is fitted in, on its outer and inner flank
_ROUNDS = 5
_LEAST_IN_PEAK = 10.0  # nuclei that a flank must hold for its shape to be read
_BESIDE = 3  # S beside a peak is read from this part (a third) of the gap between the peaks


def fit_watson(counts: Floats, expected: PhaseModel, *, ratios: tuple[float, float]) -> CycleFit | str:
    """Fractions of one histogram ``counts`` (B,) without a model of S; or why there are none.

    After Watson, Chambers & Smith, Cytometry 8, 1 (1987): G1 is the Gaussian through the flank of the first peak that
    faces away from S, G2M one of the same CV through the far flank of a second peak, looked for at ``ratios`` times the
    first. S has no model: it is what lies between the peaks, and under each as dense as it is beside it. Near the first
    peak of ``expected``, the plate's model, the well's is looked for; without a second peak its ratio stands.
    """
    from scipy.ndimage import gaussian_filter1d  # noqa: PLC0415  a quarter of a second, and workers wait for the client

    smooth = gaussian_filter1d(counts, max(expected.cv * expected.two_n / _BIN_N / 2, 1.0))
    near = np.abs(_MIDDLES / expected.two_n - 1) < _NEAR
    start = float(_MIDDLES[near][np.argmax(smooth[near])])
    g1 = _flank(counts, start, expected.cv * start, outwards=-1)
    if g1 is None:
        return f"no 2N peak within {_NEAR:.0%} of the plate's"
    two_n, width = g1
    cv = width / two_n
    four_n = _second_peak(counts, smooth, two_n, cv, ratios) or two_n * expected.four_n_ratio
    model = PhaseModel(cv=cv, four_n_ratio=four_n / two_n, two_n=two_n)
    weights = _weights(counts, model)
    if weights is None:
        return f"no gap between the peaks to see S in (CV {cv:.2f})"
    return CycleFit(
        model=model,
        weights=weights,
        n=round(float(counts.sum())),
        misfit=distance(counts, weights @ model.shapes(), model),
    )


def _flank(counts: Floats, middle: float, width: float, *, outwards: int) -> tuple[float, float] | None:
    """Middle and standard deviation of the Gaussian through the outer flank (-1 left, 1 right) of a peak.

    The logarithm of a Gaussian is a parabola, fitted with the counts as weights in a window that follows the peak. None
    where the window holds too few nuclei or no peak.
    """
    centre, sd = middle, width
    for _ in range(_ROUNDS):
        away = outwards * (_MIDDLES - centre) / sd
        window = (away > -_INNER) & (away < _FAR) & (counts > 0)
        seen = counts[window]
        if seen.sum() < _LEAST_IN_PEAK or seen.size < 4:
            return None
        bend, slope, _ = np.polyfit(_MIDDLES[window] - middle, np.log(seen), 2, w=np.sqrt(seen))
        if bend >= 0:
            return None
        sd = float(np.clip(np.sqrt(-0.5 / bend), 0.5 * width, 2 * width))
        centre = float(np.clip(middle - 0.5 * slope / bend, middle - width, middle + width))
    return centre, sd


def _second_peak(counts: Floats, smooth: Floats, two_n: float, cv: float, ratios: tuple[float, float]) -> float | None:
    """Middle of the G2M peak; None where its flank has none."""
    there = np.abs(_MIDDLES / two_n - np.mean(ratios)) < np.ptp(ratios) / 2
    start = float(_MIDDLES[there][np.argmax(smooth[there])])
    found = _flank(counts, start, cv * start, outwards=1)
    if found is None or not ratios[0] < found[0] / two_n < ratios[1]:
        return None
    return found[0]


def _weights(counts: Floats, model: PhaseModel) -> Floats | None:
    """Fractions (5,); None where the peaks leave no gap between them.

    A peak is all that lies within ``_FAR`` standard deviations of its middle, less the S under its inner half, which is
    taken as dense as in the nearest third of the gap.
    """
    four_n = model.two_n * model.four_n_ratio
    reach_1, reach_2 = _FAR * model.cv * model.two_n, _FAR * model.cv * four_n
    start, end = model.two_n + reach_1, four_n - reach_2
    if end - start < 2 * _BIN_N:
        return None
    step = (end - start) / _BESIDE
    limits = np.array([model.two_n - reach_1, start, start + step, end - step, end, four_n + reach_2])
    below = np.interp(limits, EDGES_N, np.concatenate([[0.0], np.cumsum(counts)]))
    inside = 2 * float(ndtr(_FAR)) - 1  # share of a Gaussian peak between its limits
    early, late = (below[2] - below[1]) / step, (below[4] - below[3]) / step
    g1 = max(below[1] - below[0] - early * reach_1, 0.0) / inside
    g2m = max(below[5] - below[4] - late * reach_2, 0.0) / inside
    sub_g1 = max(below[0] - g1 * (1 - inside) / 2, 0.0)
    above = max(counts.sum() - below[5] - g2m * (1 - inside) / 2, 0.0)
    s_phase = max(counts.sum() - sub_g1 - g1 - g2m - above, 0.0)
    weights = np.array([sub_g1, g1, s_phase, g2m, above])
    return np.asarray(weights / weights.sum())
