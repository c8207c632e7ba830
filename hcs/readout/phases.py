"""Cell-cycle phases from DNA content: a Dean-Jett-Fox-like model whose weights are fitted well by well."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

Floats = npt.NDArray[np.float64]
PHASES = ("SubG1", "G1", "S", "G2M", "Above4N")
EDGES_N: Floats = np.linspace(0.0, 9.0, 226)  # bins of 0.04 N; a peak of CV 2 % still spans two of them
_S_STEPS = 32  # positions on which the S phase is summed; closer together than the peak is wide
_WING = 2.0  # sub-G1 ends, and above-4N starts, this many standard deviations away from its peak


def bin_content(content_n: npt.ArrayLike) -> Floats:
    """Counts (B,) of content (units of N) over EDGES_N; values outside go to the end bins, NaN nowhere."""
    values = np.asarray(content_n, dtype=np.float64)
    inside = np.clip(values[np.isfinite(values)], EDGES_N[0], EDGES_N[-1])
    return np.histogram(inside, bins=EDGES_N)[0].astype(np.float64)


def components(*, cv: float, four_n_ratio: float, two_n: float = 2.0) -> Floats:
    """Probability (5, B) of each EDGES_N bin in each phase of PHASES.

    After Dean & Jett 1974 and Fox 1980: G1 is a Gaussian at ``two_n`` (in units of N), G2M one at
    ``four_n_ratio`` times that, both of coefficient of variation ``cv``; S is uniform between the two,
    broadened by the same CV. Sub-G1 (fragments) is uniform from 0 to two standard deviations below G1,
    above-4N uniform from two standard deviations above G2M to the last edge.
    """
    four_n = two_n * four_n_ratio
    steps = two_n + (four_n - two_n) * (np.arange(_S_STEPS) + 0.5) / _S_STEPS
    below, above = two_n * (1 - _WING * cv), four_n * (1 + _WING * cv)
    cumulative = np.stack(
        [
            np.clip(EDGES_N / below, 0, 1),
            ndtr((EDGES_N - two_n) / (cv * two_n)),
            ndtr((EDGES_N - steps[:, None]) / (cv * steps[:, None])).mean(axis=0),
            ndtr((EDGES_N - four_n) / (cv * four_n)),
            np.clip((EDGES_N - above) / (EDGES_N[-1] - above), 0, 1),
        ]
    )
    return np.diff(cumulative, axis=1)


def fit_weights(counts: Floats, shapes: Floats, *, start: Floats | None = None, steps: int = 500) -> Floats:
    """Most likely phase weights (W, 5) of W histograms (W, B) under phases of fixed ``shapes`` (5, B).

    Expectation-maximisation on binned counts; the likelihood is concave in the weights, so the start does not
    matter for the end. A weight is the mean posterior probability of its phase over the nuclei. Histograms
    without a nucleus give NaN.
    """
    total = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    floor = np.maximum(shapes, 1e-12)  # a nucleus where no phase reaches still has to belong somewhere
    weights = np.full((counts.shape[0], len(shapes)), 1 / len(shapes)) if start is None else start
    for _ in range(steps):
        updated = weights * ((share / (weights @ floor)) @ floor.T)
        updated /= np.maximum(updated.sum(axis=1, keepdims=True), 1e-300)
        moved = float(np.abs(updated - weights).max(initial=0.0))
        weights = np.maximum(updated, 1e-9)
        if moved < 1e-5:
            break
    return np.where(total > 0, weights / weights.sum(axis=1, keepdims=True), np.nan)


def negative_log_likelihood(counts: Floats, shapes: Floats, weights: Floats) -> float:
    """Negative log-likelihood of one histogram (B,) under ``weights`` (5,) and ``shapes`` (5, B)."""
    return -float(counts @ np.log(weights @ np.maximum(shapes, 1e-12)))


def phase_of(content_n: npt.ArrayLike, *, gates_n: tuple[float, float, float, float]) -> npt.NDArray[np.str_]:
    """Phase name of each nucleus by fixed gates in units of N; an empty string where the content is NaN.

    For colouring single nuclei. Gates count the broad edge of G1 as S where the peak is wide, so fractions of
    wells come from ``fit_weights`` instead.
    """
    values = np.asarray(content_n, dtype=np.float64)
    names = np.array(PHASES)[np.digitize(values, gates_n)]
    return np.where(np.isnan(values), "", names)
