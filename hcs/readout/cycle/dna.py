"""Finding the 2N peak of a plate, which puts DNA content in units of N."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hcs.readout.cycle.deanjett import RATIOS, CycleFit, Prior, fit_cycle
from hcs.readout.cycle.phases import EVEN, Floats, PhaseModel, Thirds, bin_content
from hcs.readout.settings import ReadoutSettings

_BIN = 0.02  # octaves
_MAX_BELOW = 0.3  # of the nuclei of the wells the peak is found in, usually negative controls, that may be sub-G1
_MIN_SHARE = 0.1  # of the nuclei, that the 2N peak must hold to be called one
_LN2 = float(np.log(2))


@dataclass(frozen=True, slots=True)
class DnaPeak:
    """The 2N peak of a plate: ``two_n`` in units of DNA content, ``cv`` and ``four_n_ratio`` without unit.

    Where no peak is usable, ``usable`` is False, ``reason`` says why and the numbers may be NaN.
    ``saturated`` is the share of the ``n`` nuclei with saturated DNA pixels (NaN: not recorded),
    ``source_wells`` says which wells the nuclei came from.
    """

    two_n: float
    cv: float
    four_n_ratio: float
    n: int
    usable: bool
    reason: str
    source_wells: str
    saturated: float = float("nan")
    s_shape: Thirds = EVEN
    below_shape: Thirds = EVEN

    def content_n(self, content: npt.ArrayLike) -> Floats:
        """DNA content in units of N, same shape; NaN everywhere when the peak is not usable."""
        values = np.asarray(content, dtype=np.float64)
        return 2 * values / self.two_n if self.usable else np.full(values.shape, np.nan)

    def shapes(self) -> Floats:
        """Probability (5, B) of each bin of content in each phase, for this peak's width and ratio."""
        model = PhaseModel(
            cv=self.cv, four_n_ratio=self.four_n_ratio, s_shape=self.s_shape, below_shape=self.below_shape
        )
        return model.shapes()


def find_peak(
    content: npt.ArrayLike, *, source_wells: str, settings: ReadoutSettings, saturated: float = float("nan")
) -> DnaPeak:
    """2N peak of DNA contents (n,), in the content's own unit.

    Peaks of the smoothed histogram of log content are searched for the strongest pair at the 4N/2N ratio of
    the settings; its lower one is 2N. Without such a pair the highest peak is 2N. Position, CV and ratio are
    then the most likely ones of the phase model (see ``components``), so that S phase does not widen the
    peak. Not usable: too few nuclei, too many saturated, no peak, a peak wider than ``settings.max_peak_cv``.
    """
    values = np.asarray(content, dtype=np.float64)
    values = values[np.isfinite(values) & (values > 0)]

    reason = _unfit(values, source_wells, settings, saturated)
    start = None if reason else _candidate(values, settings)
    if start is None:
        reason = reason or f"DNA content of the {values.size} nuclei has no peak"
        return DnaPeak(np.nan, np.nan, np.nan, values.size, False, reason, source_wells, saturated)
    centre, cv = start
    fit = fit_cycle(bin_content(2 * values / centre), Prior.of_plate(cv=cv), ratios=RATIOS)
    reason = _unlikely(fit) or unclear(fit, settings)
    return DnaPeak(
        two_n=centre * fit.model.two_n / 2,
        cv=fit.model.cv,
        four_n_ratio=fit.model.four_n_ratio,
        n=values.size,
        usable=not reason,
        reason=reason,
        source_wells=source_wells,
        saturated=saturated,
        s_shape=fit.model.s_shape,
        below_shape=fit.model.below_shape,
    )


def _unfit(values: Floats, source_wells: str, settings: ReadoutSettings, saturated: float) -> str:
    """Why no peak is looked for at all; empty where one is."""
    if values.size < settings.min_nuclei_peak:
        return (
            f"{values.size} nuclei with DNA content in {source_wells}, "
            f"at least {settings.min_nuclei_peak} are needed to find the 2N peak"
        )
    if saturated > settings.max_saturated:
        return (
            f"{saturated:.0%} of the nuclei have saturated DNA pixels (at most {settings.max_saturated:.0%} "
            "allowed), so their DNA content is clipped; image with a shorter exposure"
        )
    return ""


def unclear(fit: CycleFit, settings: ReadoutSettings) -> str:
    """Why the peaks of a fit cannot be told apart, or are none; empty where they can."""
    low, high = settings.four_n_ratio
    if fit.model.cv > settings.max_peak_cv:
        return (
            f"the 2N peak is too wide: CV {fit.model.cv:.2f}, at most {settings.max_peak_cv:.2f} "
            "can be told apart from S phase and 4N"
        )
    if not low <= fit.model.four_n_ratio <= high:
        return (
            f"the 4N peak lies at {fit.model.four_n_ratio:.2f} times the 2N peak, outside {low:g} to {high:g}: "
            "one of the two is something else, or the stain is not proportional to DNA"
        )
    return ""


def _unlikely(fit: CycleFit) -> str:
    """Why a fitted peak of a plate is not its 2N peak; empty where it is."""
    below, g1 = fit.weights[:2]
    if g1 < _MIN_SHARE:
        return f"the best 2N peak holds {g1:.0%} of the nuclei, at least {_MIN_SHARE:.0%} needed"
    if below > _MAX_BELOW:
        return (
            f"{below:.0%} of the nuclei lie below the best 2N peak (at most {_MAX_BELOW:.0%} can be debris "
            "or dying), so it is no 2N peak: the stain is uneven or clipped"
        )
    return ""


def _candidate(values: Floats, settings: ReadoutSettings) -> tuple[float, float] | None:
    """Position and CV of the peak to start from, by the smoothed histogram of log2 content."""
    logs = np.log2(values)
    low, high = np.percentile(logs, [0.5, 99.5])
    edges = np.arange(low - 1, high + 1 + _BIN, _BIN)
    smoothing = 0.05 + 0.5 / np.sqrt(values.size)  # octaves: wider where few nuclei make the histogram ragged
    from scipy.ndimage import gaussian_filter1d  # noqa: PLC0415  a quarter of a second, and workers wait for the client

    density: Floats = gaussian_filter1d(np.histogram(logs, bins=edges)[0].astype(np.float64), smoothing / _BIN)
    peaks = prominent_peaks(density, 0.05 * density.max())
    if peaks.size == 0:
        return None
    peak = _lower_of_pair(peaks.astype(np.float64) * _BIN, density[peaks], settings)
    chosen = int(peaks[peak if peak is not None else np.argmax(density[peaks])])
    below = np.flatnonzero(density[:chosen] < density[chosen] / 2)
    half_width = (chosen - int(below[-1])) * _BIN if below.size else _BIN
    # the left flank only: S phase lies on the right; 1.1774 half widths make a standard deviation
    sigma = np.sqrt(max((half_width / 1.1774) ** 2 - smoothing**2, _BIN**2))
    return float(2 ** (edges[chosen] + _BIN / 2)), float(np.clip(sigma * _LN2, 0.02, 0.3))


def prominent_peaks(density: Floats, least: float) -> npt.NDArray[np.intp]:
    """Places in ``density`` (n,) that are higher than what is beside them and from which, before anything higher, it
    falls by at least ``least`` on both sides; of even ones the middle.

    These are the peaks of that prominence of `scipy.signal.find_peaks`, which takes a second to import.
    """
    first = np.flatnonzero(np.diff(density, prepend=np.nan))  # of every run of one height
    last = np.append(first[1:], density.size) - 1
    height = density[first]
    found = []
    for top in 1 + np.flatnonzero((height[1:-1] > height[:-2]) & (height[1:-1] > height[2:])):
        falls = []
        for side in (height[:top][::-1], height[top + 1 :]):
            higher = np.flatnonzero(side > height[top])
            falls.append(height[top] - side[: higher[0] if higher.size else side.size].min())
        if min(falls) >= least:
            found.append((first[top] + last[top]) // 2)
    return np.array(found, dtype=np.intp)


def _lower_of_pair(octaves: Floats, heights: Floats, settings: ReadoutSettings) -> int | None:
    """Index of the lower peak of the strongest 2N/4N pair, None without a pair.

    The lower one must reach a third of the upper one's height, or else debris at half the content of G1 would
    take its place.
    """
    low, high = np.log2(settings.four_n_ratio)
    pairs = [
        (heights[i] + heights[j], i)
        for i in range(len(octaves))
        for j in range(i + 1, len(octaves))
        if low <= octaves[j] - octaves[i] <= high and heights[i] >= heights[j] / 3
    ]
    if not pairs:
        return None
    total, lower = max(pairs)
    return lower if total > heights.max() else None  # a weak pair beside a far higher single peak is debris
