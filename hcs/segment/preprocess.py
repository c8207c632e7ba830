"""Raw intensities → the network's input, in the ways that published pipelines do it and in our own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from hcs.errors import ConfigError
from hcs.segment.despeckle import REACH_PX
from hcs.segment.normalise import (
    Normalisation,
    normalisation_of,
    normalise,
    normalise_by_brightest,
    with_background,
)

Method = Literal["tiles", "asinh", "median", "min-max"]
QUANTILES = np.linspace(0.0, 1.0, 65)
"""Quantiles by which a histogram travels in a model card."""
_LOCAL_PX = 61


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocess:
    """How a field becomes the network's input; travels in the model card, because the weights are good for no other."""

    normalise: Method = "tiles"
    """tiles: our own, see `hcs.segment.normalise`; asinh: the same, scaled by the brightest pixels; median: see
    `median_and_local_mean`; min-max: to 0 … 1."""
    histogram: tuple[float, ...] = ()
    """`QUANTILES` of a normalised reference image, to which every image's histogram is matched; empty: it is not."""
    median_px: int = 0
    """Side of a median filter behind all that: 3 or 5; 0: none."""

    def __post_init__(self) -> None:
        if self.normalise not in _NORMALISATIONS:
            raise ConfigError(f"normalise = {self.normalise!r}: one of {', '.join(_NORMALISATIONS)} is needed")
        if self.median_px not in (0, 3, 5):
            raise ConfigError(f"median_px = {self.median_px}: 0 (no filter), 3 or 5 are possible")
        if len(self.histogram) not in (0, len(QUANTILES)):
            raise ConfigError(f"histogram of {len(self.histogram)} quantiles: {len(QUANTILES)} or none are needed")

    def __call__(self, image: NDArray[Any], fill: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        """Field (Y, X) of any real dtype → the network's input (Y, X) float32; ``fill`` (Y, X), which was not recorded,
        is shown as background."""
        if fill is not None:
            known = normalisation_of(image, fill)
            image = with_background(image, fill, known)
            if self.blockwise:
                return self.in_block(image, known)
        pixels = _NORMALISATIONS[self.normalise](image)
        if self.histogram:
            pixels = match_histogram(pixels, np.asarray(self.histogram))
        return self._filtered(pixels)

    @property
    def blockwise(self) -> bool:
        """Whether `in_block` can be used: whether a few statistics of a field are all that its pixels need to know."""
        return self.normalise == "tiles" and not self.histogram

    @property
    def despeckles(self) -> bool:
        """Whether specks are taken out at the network's scale, see `hcs.segment.despeckle`: of our own input only,
        whose scale says what is brighter than nuclei."""
        return self.normalise == "tiles" and not self.histogram

    @property
    def reach_px(self) -> int:
        """How far a pixel at the network's scale changes others before the network sees them."""
        return REACH_PX if self.despeckles else 0

    def in_block(self, image: NDArray[Any], normalisation: Normalisation) -> NDArray[np.float32]:
        """Part (y, x) of a field → the network's input (y, x) float32, that of the whole field but for a filter's width
        at its edges."""
        return self._filtered(normalisation.apply(image))

    def _filtered(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        return pixels if not self.median_px else np.asarray(cv2.medianBlur(pixels, self.median_px))


def min_max(image: NDArray[Any]) -> NDArray[np.float32]:
    """Field (Y, X) → (Y, X) float32 from 0, the darkest pixel, to 1, the brightest; one value alone gives zeros."""
    pixels = np.asarray(image, dtype=np.float32)
    low, high = float(pixels.min()), float(pixels.max())
    return np.zeros(pixels.shape, np.float32) if high <= low else (pixels - np.float32(low)) / np.float32(high - low)


def median_and_local_mean(image: NDArray[Any]) -> NDArray[np.float32]:
    """Field (Y, X) divided by its median, less the mean of the 61 × 61 px around each pixel (Y, X) float32.

    Van Valen et al., PLoS Comput. Biol. 12, e1005177 (2016). Where the median is 0, as in 8-bit images whose background
    is clipped, the field's mean takes its place; a field of zeros stays so.
    """
    pixels = np.asarray(image, dtype=np.float32)
    centre = float(np.median(pixels)) or float(pixels.mean())
    if centre == 0.0:
        return np.zeros(pixels.shape, np.float32)
    pixels = pixels / np.float32(centre)
    local = cv2.blur(pixels, (_LOCAL_PX, _LOCAL_PX), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(pixels - local, dtype=np.float32)


def quantiles(image: NDArray[np.float32]) -> tuple[float, ...]:
    """The `QUANTILES` of a normalised field (Y, X)."""
    return tuple(round(float(q), 5) for q in np.quantile(image, QUANTILES))


def match_histogram(image: NDArray[np.float32], reference: NDArray[np.float64]) -> NDArray[np.float32]:
    """Map the intensities of a field (Y, X) so that its quantiles become those of ``reference`` (65,).

    Between quantiles the map is linear. An intensity that several quantiles share goes to their mean.
    """
    own, group = np.unique(np.quantile(image, QUANTILES), return_inverse=True)
    target = np.bincount(group, weights=reference) / np.bincount(group)
    return np.interp(image, own, target).astype(np.float32)


_NORMALISATIONS = {
    "tiles": normalise,
    "asinh": normalise_by_brightest,
    "median": median_and_local_mean,
    "min-max": min_max,
}
