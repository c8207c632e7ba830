"""How good the image of a field is, channel by channel: focus, saturation, background, signal, debris.

Long, because every measure stands beside the column that defines it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from hcs.columns import Column
from hcs.measure.columns import HCS, channel_suffixes
from hcs.measure.fill import Fill
from hcs.measure.focus import ROW_STEP, focus_scores
from hcs.measure.intensity import Floats, Floats32, as_float32, as_pixels, saturation_level
from hcs.measure.ranks import percentile
from hcs.measure.settings import MeasureSettings

_TILES = 4
_RUN_PX = 32
_QUIETEST = 10.0
_OF_NOISE = 0.76
"""That percentile of means of 16 half-normal values, relative to their mean: 1 - 1.28 x 0.756 / 4."""
_SPECK_PX = 10
_USUAL_PX = 24
_FEWEST_LIT = 40
_MOST_OPEN = 0.1
"""Largest standard error of the logarithm by which corners differ from half-way: twice that is the number's own."""
_FEWEST_SHARP = 32
_ROUNDING = 12.0**-0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelQuality:
    """Quality of one channel of one field, of the pixels as the camera recorded them; see ``quality_columns``.

    NaN where a number has no meaning: see `field_quality`.
    """

    focus: float
    sharpness: float
    sharpness_part: float
    shading: float
    saturated: float
    background: float
    gradient: float
    noise: float
    stain: float
    snr: float
    confluence: float
    debris: float


def field_quality(
    image: NDArray[np.generic],
    labels: NDArray[np.integer],
    *,
    channels: tuple[str, ...],
    settings: MeasureSettings,
    fill: Fill | None = None,
) -> dict[str, ChannelQuality]:
    """Channel → quality of a field's recorded image (C, Y, X), whose nuclei are ``labels`` (Y, X), 0 outside.

    NaN stands for: focus without any structure above the noise, saturation of a float image without a level in the
    settings, a gradient with fewer than four tiles that show background or a background not above 0, and stain,
    signal to noise and debris without a nucleus, which are measured by the nuclei's brightness. Pixels of ``fill`` are
    not looked at; a channel of which nothing was recorded has NaN for all.
    """
    cells = _find_cells(labels, None if fill is None else fill.mask)
    blank = () if fill is None else fill.blank
    if cells.fill is not None and cells.fill.all():
        blank = tuple(range(len(channels)))
    return {
        name: _UNKNOWN if c in blank else _channel_quality(plane, cells, settings)
        for c, (name, plane) in enumerate(zip(channels, image, strict=True))
    }


_UNKNOWN = ChannelQuality(**dict.fromkeys((f.name for f in fields(ChannelQuality)), float("nan")))


@dataclass(frozen=True, slots=True)
class _Cells:
    """Where the nuclei are: a sample of their pixels, and all of their surroundings at lower resolution."""

    pixels: NDArray[np.intp]
    """Flat indices of every third pixel of every third row that lies in a nucleus."""
    label: NDArray[np.intp]
    """Label of each of these pixels."""
    covered: NDArray[np.uint8]
    """(Y // 2, X // 2), 1 within about 4 px of a nucleus, and of what was not recorded."""
    share: Floats32
    """(Y // 8, X // 8), how much of each square of 8 px is covered."""
    fill: NDArray[np.bool_] | None
    """(Y, X), what was not recorded; None where all was."""
    diameter_px: float
    """Median diameter of circles of the nuclei's areas; NaN without a nucleus."""
    areas: NDArray[np.intp]
    """Number of sampled pixels of each label from 0."""
    middles: Floats
    """(2, n) their sampled pixels' mean place, y and x, from -1 at one edge of the field to 1 at the other."""

    def recorded(self, values: Floats32, factor: int) -> NDArray[np.bool_]:
        """Which of the means of squares of ``factor`` px are of recorded pixels alone, of the shape of ``values``."""
        if self.fill is None:
            return np.ones(values.shape, np.bool_)
        return np.asarray(_pooled(self.fill.astype(np.float32), factor) == 0)


def _find_cells(labels: NDArray[np.integer], fill: NDArray[np.bool_] | None) -> _Cells:
    sampled = np.ascontiguousarray(labels[::3, ::3])
    inside = np.flatnonzero(sampled > 0)
    rows, columns = np.divmod(inside, sampled.shape[1])
    found = sampled.ravel()[inside].astype(np.intp)
    areas = np.bincount(found)
    diameter = 2.0 * np.sqrt(9.0 * float(np.median(areas[areas > 0])) / np.pi) if found.size else float("nan")
    height, width = (n // 2 for n in labels.shape)
    mask = (labels[: 2 * height : 2, : 2 * width : 2] > 0).astype(np.uint8)
    if fill is not None:
        mask |= fill[: 2 * height : 2, : 2 * width : 2].view(np.uint8)
    if mask.size:
        mask = np.asarray(cv2.dilate(mask, np.ones((5, 5), np.uint8)), np.uint8)
    share = _pooled(mask.astype(np.float32), 4)
    places = ((2 * 3 * k + 1) / length - 1 for k, length in zip((rows, columns), labels.shape, strict=True))
    middles = np.stack([np.bincount(found, weights=place)[areas > 0] / areas[areas > 0] for place in places])
    pixels = 3 * (rows * labels.shape[1] + columns)
    return _Cells(pixels, found, mask, share, fill, diameter, areas, middles)


def _channel_quality(plane: NDArray[np.generic], cells: _Cells, settings: MeasureSettings) -> ChannelQuality:
    pixels = as_float32(plane)
    half = _pooled(pixels, 2)
    eighth = _pooled(half, 4)
    known = eighth[cells.recorded(eighth, 8)]
    level = percentile(known if known.size else pixels.ravel(), settings.background_percentile)
    noise = noise_sd(pixels, cells.fill)
    if plane.dtype.kind in "iu":
        noise = max(noise, _ROUNDING)  # a background of one grey level is not without noise, only rounded
    lit = _brightness(pixels, cells)
    stain = float(np.median(lit)) - level if lit.size else float("nan")
    recorded = pixels if cells.fill is None else pixels[~cells.fill]
    if cells.fill is not None:
        pixels = np.where(cells.fill, np.float32(level), pixels)
        half, lit = _pooled(pixels, 2), _brightness(pixels, cells)
    quarter = _pooled(half, 2)
    ceiling = _brightest(pixels, level, stain)
    seen = as_pixels(plane) if cells.fill is None else pixels
    scores = focus_scores(seen, noise=noise, ceiling=ceiling, fill=cells.fill)
    sharpness, part = _sharpness(pixels, cells, noise=noise, ceiling=ceiling, scores=scores)
    return ChannelQuality(
        focus=scores[0],
        sharpness=sharpness,
        sharpness_part=part,
        shading=_shading(lit, cells, level),
        saturated=_saturated(recorded, saturation_level(plane.dtype, settings)),
        background=level,
        gradient=_gradient(eighth, cells.share, level),
        noise=noise,
        stain=stain,
        snr=stain / noise if noise > 0 else float("nan"),
        confluence=_confluence(quarter, cells.recorded(quarter, 4), level, noise),
        debris=_debris(half, cells.covered, stain, noise) * 1e6 / recorded.size,
    )


def _sharpness(
    pixels: Floats32, cells: _Cells, *, noise: float, ceiling: float, scores: tuple[float, ...]
) -> tuple[float, float]:
    """`focus_score` of a plane (Y, X) reduced so that its nuclei are about 24 px across, and that of its least sharp
    quarter over that of the sharpest; NaN where fewer than two quarters have structure, or with fewer than 32 nuclei.

    Edges are as wide in pixels as the magnification makes them; beside the nuclei's own size the score is comparable.
    ``scores`` are `focus_scores` of the plane as it is.
    """
    factor = max(1, round(cells.diameter_px / _USUAL_PX)) if np.isfinite(cells.diameter_px) else 1
    if factor > 1:
        seen = np.ascontiguousarray(_pooled(pixels, factor))
        fill = None if cells.fill is None else ~cells.recorded(seen, factor)
        scores = focus_scores(seen, noise=noise / factor, ceiling=ceiling, fill=fill)
    whole, *quarters = scores
    known = [score for score in quarters if np.isfinite(score)]
    enough = len(known) > 1 and max(known) > 0 and np.count_nonzero(cells.areas) >= _FEWEST_SHARP
    return whole, min(known) / max(known) if enough else float("nan")


def _shading(means: Floats, cells: _Cells, level: float) -> float:
    """Brightness of nuclei in the field's corners over that in its middle, or the reverse: the smaller of the two; NaN
    with fewer than 40 nuclei, and where these differ so much that the number's standard error is above 20 %.

    The logarithm of the nuclei's ``means`` above ``level`` is fitted by a plane and the square of the distance from the
    middle. Only the latter counts, for that is what a lens does; stain and cells may differ from side to side.
    """
    lit = means > level
    if np.count_nonzero(lit) < _FEWEST_LIT:
        return float("nan")
    y, x = cells.middles[:, lit]
    logs = np.log(means[lit] - level)
    terms = np.column_stack([np.ones(y.size), y, x, y * y + x * x])
    for _ in range(2):  # once more without what is far off: dead cells, debris
        fit = np.linalg.lstsq(terms, logs, rcond=None)[0]
        off = np.abs(logs - terms @ fit)
        kept = off <= 3.0 * 1.4826 * np.median(off)
        terms, logs = terms[kept], logs[kept]
    left = logs - terms @ fit
    freedom = max(logs.size - terms.shape[1], 1)
    error = np.sqrt(left @ left / freedom * np.linalg.pinv(terms.T @ terms)[3, 3])
    return float(np.exp(-2.0 * abs(fit[3]))) if error <= _MOST_OPEN else float("nan")


def noise_sd(pixels: Floats32, fill: NDArray[np.bool_] | None = None) -> float:
    """Standard deviation of pixel noise (Y, X), grey levels: from neighbours' differences in the quietest places.

    For Gaussian noise E|x₁ − x₀| = 2σ/√π. The lowest tenth of runs of 32 pixels in a row leaves out outlines and
    texture. A plane narrower than a run gives 0. Runs with a pixel of ``fill`` (Y, X) are left out.
    """
    rows = pixels[:: 2 * ROW_STEP, : pixels.shape[1] // _RUN_PX * _RUN_PX]
    if rows.size == 0:
        return 0.0
    runs = np.abs(rows[:, 1::2] - rows[:, ::2]).reshape(-1, _RUN_PX // 2).mean(axis=1)
    if fill is not None:
        whole = ~fill[:: 2 * ROW_STEP, : rows.shape[1]].reshape(-1, _RUN_PX).any(axis=1)
        if not whole.any():
            return 0.0
        runs = runs[whole]
    return percentile(runs, _QUIETEST) / _OF_NOISE * float(np.sqrt(np.pi)) / 2.0


def _saturated(pixels: Floats32, ceiling: float) -> float:
    """Share of pixels at or above ``ceiling``; NaN where there is no such level."""
    if not np.isfinite(ceiling):
        return float("nan")
    return float(np.count_nonzero(pixels >= ceiling)) / pixels.size if pixels.max() >= ceiling else 0.0


def _brightness(pixels: Floats32, cells: _Cells) -> Floats:
    """Mean of every nucleus that has a sampled pixel, (n,)."""
    sums = np.bincount(cells.label, weights=pixels.ravel()[cells.pixels])
    present = cells.areas > 0
    return np.asarray(sums[present] / cells.areas[present])


def _brightest(pixels: Floats32, level: float, stain: float) -> float:
    """Grey level above which a pixel is more than stained nucleus: 1.5 times the stain, or a high percentile."""
    return level + 1.5 * stain if stain > 0 else percentile(pixels[::ROW_STEP, ::ROW_STEP].ravel(), 99.9)


def _pooled(pixels: Floats32, factor: int) -> Floats32:
    """Means of squares of ``factor`` px, (Y // factor, X // factor); a remainder is left out."""
    height, width = (n // factor for n in pixels.shape)
    if height == 0 or width == 0:
        return np.zeros((height, width), np.float32)
    whole = pixels[: height * factor, : width * factor]
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _gradient(eighth: Floats32, covered: Floats32, level: float) -> float:
    """Range of the background over the field, relative to its level: least to most of 4 × 4 tiles.

    A tile shows the 5th percentile of its means of 8 × 8 px that are free of nuclei; one that is less than a tenth free
    shows none.
    """
    levels = []
    for rows in np.array_split(np.arange(eighth.shape[0]), _TILES):
        for columns in np.array_split(np.arange(eighth.shape[1]), _TILES):
            if not rows.size or not columns.size:
                continue
            tile = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
            free = eighth[tile][covered[tile] == 0]
            if free.size > 0.1 * len(rows) * len(columns):
                levels.append(percentile(free, 5.0))
    if len(levels) < _TILES or level <= 0:
        return float("nan")
    return (max(levels) - min(levels)) / level


def _confluence(quarter: Floats32, recorded: NDArray[np.bool_], level: float, noise: float) -> float:
    """Share of means of 4 × 4 recorded px above the background by 5 SD of their noise and a tenth of the signal."""
    seen = quarter[::2, ::2][recorded[::2, ::2]]
    if seen.size == 0:
        return float("nan")
    signal = percentile(seen, 99.0) - level
    return float(np.mean((quarter > level + max(5.0 * noise / 4.0, 0.1 * signal))[recorded]))


def _debris(half: Floats32, covered: NDArray[np.uint8], stain: float, noise: float) -> float:
    """Number of specks off the nuclei: smaller than 10 px, above their surroundings by half of the nuclei's stain."""
    if not stain > 0 or half.size == 0:
        return float("nan")
    side = _SPECK_PX // 2
    opened = cv2.morphologyEx(half, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    specks = (half - opened > max(0.5 * stain, 8.0 * noise / 2.0)) & (covered == 0)
    return float(cv2.connectedComponents(specks.astype(np.uint8), connectivity=8)[0] - 1)


MEASURES: Final = {
    "focus": "Focus",
    "sharpness": "Sharpness",
    "sharpness_part": "SharpnessPart",
    "shading": "Shading",
    "saturated": "Saturated",
    "background": "Background",
    "gradient": "Gradient",
    "noise": "Noise",
    "stain": "Stain",
    "snr": "SNR",
    "confluence": "Confluence",
    "debris": "Debris",
}
"""Attribute of ``ChannelQuality`` → the word for it in column names."""

_DEFINITIONS: Final = {
    "Focus": (
        "",
        "Sharpness, about 1 for sharp edges and 0 for a smooth image: 2 - log2[(S(8) - S(4)) / (S(2) - S(1))] / 2, "
        "S(h) the mean squared difference of pixels h apart; free of white noise, gain, offset and cell number, NaN "
        "without structure above the noise",
        f"{HCS}; the exponent of Bray et al., J. Biomol. Screen. 17, 266 (2012), in space and without the noise",
    ),
    "Sharpness": (
        "",
        "Focus of the field reduced by a whole number so that its nuclei are about 24 px across, which makes fields of "
        "all magnifications comparable: 0.4 to 1 in focus, below 0.25 blurred over a seventh of a nucleus",
        HCS,
    ),
    "SharpnessPart": (
        "",
        "Sharpness of the field's least sharp quarter over that of its sharpest; NaN with fewer than 32 nuclei",
        HCS,
    ),
    "Shading": (
        "",
        "Brightness of nuclei above Background in the field's corners over that in its middle, or the reverse, the "
        "smaller; by a fit of the logarithm to a plane, not counted, and the squared distance from the middle, "
        "NaN with fewer than 40 nuclei or a standard error above 20 %",
        HCS,
    ),
    "Saturated": ("", "Share of pixels at or above saturation_level; NaN for float images without a level", HCS),
    "Background": ("grey levels", "Percentile background_percentile of the field's means of 8 x 8 px", HCS),
    "Gradient": (
        "",
        "Background of the brightest of 4 x 4 tiles less that of the darkest, over Background; each the 5th percentile "
        "of a tile's means of 8 x 8 px off the nuclei",
        HCS,
    ),
    "Noise": (
        "grey levels",
        "Standard deviation of pixel noise in the quietest tenth of runs of 32 px, from neighbours' differences",
        HCS,
    ),
    "Stain": ("grey levels", "Median over nuclei of their mean intensity less Background; NaN without a nucleus", HCS),
    "SNR": ("", "Stain over Noise; NaN without a nucleus", HCS),
    "Confluence": (
        "",
        "Share of means of 4 x 4 px above Background by 5 standard deviations of their noise and by a tenth of the "
        "99th percentile's height above it",
        HCS,
    ),
    "Debris": (
        "1/MP",
        "Bright specks per megapixel, narrower than 10 px and 4 px or more off every nucleus, that stand out from "
        "their surroundings by half of Stain; NaN without a nucleus",
        HCS,
    ),
}


def quality_columns(channels: tuple[str, ...]) -> tuple[Column, ...]:
    """Every Quality_ column of the field table, channel by channel; all are of the pixels as recorded."""
    return tuple(
        Column(f"Quality_{word}_{suffix}", "float64", unit, f"{definition}; channel {name}", source)
        for name, suffix in channel_suffixes(channels).items()
        for word, (unit, definition, source) in _DEFINITIONS.items()
    )


def quality_values(quality: dict[str, ChannelQuality]) -> dict[str, float]:
    """Column → value of one field's quality, in the order of ``quality_columns``."""
    suffixes = channel_suffixes(tuple(quality))
    return {
        f"Quality_{MEASURES[attribute]}_{suffixes[name]}": float(value)
        for name, channel in quality.items()
        for attribute, value in asdict(channel).items()
    }
