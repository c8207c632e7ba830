"""Columns of image quality in the field table: name, unit and definition, for a given set of channels."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from hcs.measure.columns import HCS, Column, channel_suffixes

if TYPE_CHECKING:
    from hcs.measure.quality import ChannelQuality  # numba, which naming columns does without, takes half a second

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
        "NaN with fewer than 40 nuclei",
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
