"""Cell-cycle phases from DNA content: the shapes of a Dean-Jett-Fox model, and its weights at given shapes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_WING = 2.0  # sub-G1 ends, and above-4N starts, this many standard deviations away from its peak
_CERTAIN = 7.2  # standard deviations beyond which a normal distribution has less than 1e-12
_STEPS: Floats = (np.arange(32) + 0.5) / 32  # places on which the S phase is summed; closer than the peak is wide
_BERNSTEIN: Floats = np.stack([(1 - _STEPS) ** 2, 2 * _STEPS * (1 - _STEPS), _STEPS**2])
_BERNSTEIN /= _BERNSTEIN.sum(axis=1, keepdims=True)


@numba.njit(cache=True, nogil=True)
def model_parts(edges: Floats, cv: float, four_n_ratio: float, two_n: float, wave: tuple[float, float]) -> Floats:
    """Probability (10, E - 1) of each bin between ``edges`` (E,), even and from 0, in the parts that
    `basis` defines. ``wave`` is place and width of the one in S, whose row is 0 at a width of 0."""
    wave_place, wave_width = wave
    four_n = two_n * four_n_ratio
    below, above = two_n * (1 - _WING * cv), four_n * (1 + _WING * cv)
    top = edges[-1]
    share = np.zeros((10, edges.size))  # below each edge
    for e in range(edges.size):
        place = min(edges[e] / below, 1.0)
        share[0, e] = 1 - (1 - place) ** 3
        share[1, e] = place * place * (3 - 2 * place)
        share[2, e] = place**3
        share[9, e] = min(max((edges[e] - above) / (top - above), 0.0), 1.0)
    _add_normal(share[3], edges, two_n, cv * two_n)
    one = np.empty(edges.size)
    for k in range(_STEPS.size):
        one[:] = 0
        centre = two_n + (four_n - two_n) * _STEPS[k]
        _add_normal(one, edges, centre, cv * centre)
        for s in range(3):
            share[4 + s] += _BERNSTEIN[s, k] * one
    if wave_width > 0:
        centre = two_n + (four_n - two_n) * wave_place
        _add_normal(share[7], edges, centre, math.hypot(cv * centre, (four_n - two_n) * wave_width))
    _add_normal(share[8], edges, four_n, cv * four_n)
    return share[:, 1:] - share[:, :-1]


@numba.njit(cache=True, nogil=True)
def _add_normal(share: Floats, edges: Floats, centre: float, sd: float) -> None:
    """Add to ``share`` (E,) the part below each edge of a normal distribution."""
    step = edges[1]
    first = max(int((centre - _CERTAIN * sd) / step), 0)
    last = min(int((centre + _CERTAIN * sd) / step) + 1, edges.size)
    scale = -math.sqrt(0.5) / sd
    for e in range(first, last):
        share[e] += 0.5 * math.erfc((edges[e] - centre) * scale)
    share[last:] += 1.0


EDGES_N: Floats = np.linspace(0.0, 9.0, 226)  # bins of 0.04 N; a peak of CV 2 % still spans two of them
EVEN = (1 / 3, 1 / 3, 1 / 3)
Thirds = tuple[float, float, float]
_FLOOR = 1e-12  # a nucleus where no phase reaches still has to belong somewhere


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseModel:
    """Where the peaks lie and how wide they are: all that ``components`` needs."""

    cv: float
    """Coefficient of variation of G1 and of G2M."""
    four_n_ratio: float
    """DNA content of G2M over that of G1."""
    two_n: float = 2.0
    """DNA content of G1, in units of N of the plate."""
    s_shape: Thirds = EVEN
    """Shares of the early, middle and late part of S; they add up to 1."""
    below_shape: Thirds = EVEN
    """The same for sub-G1, from none of the DNA to nearly that of G1."""
    wave: float = 0.0
    """Share of the S cells that stand together: the synchronous S of Fox."""
    wave_place: float = 0.5
    """Where they stand in S, 0 at 2N and 1 at 4N."""
    wave_width: float = 0.0
    """Standard deviation of their place in S."""

    def shapes(self) -> Floats:
        """Probability (5, B) of each EDGES_N bin in each phase of PHASES."""
        parts = basis(
            cv=self.cv,
            four_n_ratio=self.four_n_ratio,
            two_n=self.two_n,
            wave_place=self.wave_place,
            wave_width=self.wave_width,
        )
        in_s = np.append((1 - self.wave) * np.asarray(self.s_shape), self.wave)
        return phases_of(parts, np.asarray(self.below_shape), in_s)


def bin_content(content_n: npt.ArrayLike) -> Floats:
    """Counts (B,) of content (units of N) over EDGES_N; values outside go to the end bins, NaN nowhere."""
    values = np.asarray(content_n, dtype=np.float64)
    return np.bincount(bin_of(values[np.isfinite(values)]), minlength=EDGES_N.size - 1).astype(np.float64)


def bin_of(content_n: Floats) -> npt.NDArray[np.intp]:
    """Bin of EDGES_N of each content (units of N), same shape; values outside, and NaN, go to the end bins."""
    scaled = np.nan_to_num(content_n / EDGES_N[1], nan=0.0)
    return np.asarray(np.clip(scaled, 0, EDGES_N.size - 2).astype(np.intp))


def components(*, cv: float, four_n_ratio: float, two_n: float = 2.0) -> Floats:
    """Probability (5, B) of each EDGES_N bin in each phase of PHASES, with an even sub-G1 and an even S."""
    return PhaseModel(cv=cv, four_n_ratio=four_n_ratio, two_n=two_n).shapes()


def phases_of(parts: Floats, below_shape: Floats, s_shape: Floats) -> Floats:
    """Parts of ``basis`` (10, B) as phases (5, B), by the shares (3,) of sub-G1's parts and (4,) of those of S."""
    return np.concatenate([[below_shape @ parts[:3]], parts[3:4], [s_shape @ parts[4:8]], parts[8:]])


def basis(*, cv: float, four_n_ratio: float, two_n: float, wave_place: float = 0.5, wave_width: float = 0.0) -> Floats:
    """Probability (10, B) of each EDGES_N bin in low, middle and high sub-G1, G1, early, middle and late S, the wave in
    S, G2M, and above 4N.

    After Dean & Jett 1974 and Fox 1980: G1 is a Gaussian at ``two_n`` (in units of N), G2M one at ``four_n_ratio``
    times that, both of coefficient of variation ``cv``. S is a polynomial of degree 2 between the two, broadened by the
    same CV; its three parts are the Bernstein polynomials, of which every mixture is positive; the wave, cells that a
    block holds or has let go together, is a Gaussian in S (Fox), broadened likewise. Sub-G1 (fragments, dying
    cells) is such a polynomial from 0 to two standard deviations below G1, above-4N is uniform from two standard
    deviations above G2M to the last edge.
    """
    # Compiled functions take half a second to import, which a plate without DNA saves.

    return np.maximum(model_parts(EDGES_N, cv, four_n_ratio, two_n, (float(wave_place), float(wave_width))), _FLOOR)


def fit_weights(counts: Floats, shapes: Floats, *, start: Floats | None = None, steps: int = 500) -> Floats:
    """Most likely phase weights (W, 5) of W histograms (W, B) under phases of fixed ``shapes`` (5, B).

    Expectation-maximisation on binned counts; the likelihood is concave in the weights, so the start does not
    matter for the end. A weight is the mean posterior probability of its phase over the nuclei. Histograms
    without a nucleus give NaN.
    """
    total = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    floor = np.maximum(shapes, _FLOOR)
    weights = np.full((counts.shape[0], len(shapes)), 1 / len(shapes)) if start is None else start
    for _ in range(steps):
        updated = weights * ((share / (weights @ floor)) @ floor.T)
        updated /= np.maximum(updated.sum(axis=1, keepdims=True), 1e-300)
        moved = float(np.abs(updated - weights).max(initial=0.0))
        weights = np.maximum(updated, 1e-9)
        if moved < 1e-5:
            break
    return np.where(total > 0, weights / weights.sum(axis=1, keepdims=True), np.nan)
