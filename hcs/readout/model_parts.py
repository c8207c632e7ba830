"""The parts of a cell-cycle model, compiled: fits spend most of their time in them."""

from __future__ import annotations

import math

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
    `hcs.readout.phases.basis` defines. ``wave`` is place and width of the one in S, whose row is 0 at a width of 0."""
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
