"""Labels and image → the nucleus table of one field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.measure.columns import channel_suffixes, column_dictionary
from hcs.measure.intensity import (
    Floats,
    Statistics,
    as_float32,
    field_background,
    local_background,
    region_means,
    region_statistics,
    saturation_level,
)
from hcs.measure.regions import Nuclei, find_nuclei
from hcs.measure.settings import MeasureSettings
from hcs.measure.shape import Shape, measure_shape
from hcs.measure.surroundings import Surroundings, find_surroundings

Columns = dict[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class NucleusTable:
    """One row per nucleus of one field, in ascending order of label value; columns as in
    ``column_dictionary``."""

    columns: Columns
    backgrounds: dict[str, float]
    """Channel → the field's background, in grey levels; also there for a field without nuclei."""

    def __len__(self) -> int:
        return len(self.columns["Metadata_ObjectNumber"])

    def to_frame(self) -> pd.DataFrame:
        """The columns as a DataFrame, in order."""
        return pd.DataFrame(self.columns)


def measure_nuclei(
    labels: NDArray[np.integer],
    image: NDArray[np.generic],
    *,
    channels: tuple[str, ...],
    dna: str,
    sensor: str | None,
    settings: MeasureSettings,
    pixel_size_um: float | None = None,
    confidence: NDArray[np.float32] | None = None,
) -> NucleusTable:
    """Measure every nucleus of ``labels`` (Y, X) in every channel of ``image`` (C, Y, X), in pixels and grey
    levels.

    Labels may have gaps and any integer dtype; one label in several pieces is one nucleus; none at all gives
    a table without rows. Pixels are read as float32. ``confidence`` (Y, X) is averaged over each nucleus.

    NaN stands for: area in µm² without a pixel size, ring intensities without a ring, the sensor ratio with
    too small a ring or a nucleus hardly above the field's background, the log ratio of a ratio not above 0, and
    confidence where none is given. Nothing else is NaN.

    Raises ConfigError for unknown or clashing channel names, and ValueError where shapes do not match, labels
    are negative, or pixels are not finite.
    """
    dictionary = column_dictionary(channels, dna, sensor)
    _require_same_shape(labels, image, channels, confidence)
    nuclei = find_nuclei(labels)
    shape = measure_shape(nuclei)
    around = find_surroundings(nuclei, shape.box, settings)
    found = _shape_columns(nuclei, shape, pixel_size_um)
    found |= _region_columns(nuclei, around, confidence)
    backgrounds: dict[str, float] = {}
    for plane, (channel, suffix) in zip(image, channel_suffixes(channels).items(), strict=True):
        measured = _measure_channel(plane, nuclei, around, settings)
        backgrounds[channel] = measured.background
        found |= _intensity_columns(measured, suffix)
        if channel == dna:
            found["Nuclei_DNA_Content"] = measured.nucleus.total - measured.local * shape.area
        if channel == sensor:
            least = settings.sensor_min_signal if plane.dtype.kind in "iu" else 0.0
            found |= _sensor_columns(measured, around, least_px=settings.ring_min_px, least_signal=least)
    return NucleusTable({c.name: found[c.name].astype(c.dtype) for c in dictionary}, backgrounds)


@dataclass(frozen=True, slots=True)
class _Channel:
    """One channel's measurements: statistics of nuclei and rings, local backgrounds (n,), field
    background."""

    nucleus: Statistics
    ring: Statistics
    local: Floats
    background: float


def _measure_channel(
    plane: NDArray[np.generic], nuclei: Nuclei, around: Surroundings, settings: MeasureSettings
) -> _Channel:
    pixels = as_float32(plane)
    ceiling = saturation_level(plane.dtype, settings)
    background = field_background(pixels, settings)
    return _Channel(
        nucleus=region_statistics(pixels, nuclei.pixels, ceiling=ceiling),
        ring=region_statistics(pixels, around.ring, ceiling=ceiling),
        local=local_background(pixels, around.background, fallback=background),
        background=background,
    )


def _require_same_shape(
    labels: NDArray[np.integer],
    image: NDArray[np.generic],
    channels: tuple[str, ...],
    confidence: NDArray[np.float32] | None,
) -> None:
    if image.shape != (len(channels), *labels.shape):
        raise ValueError(
            f"image of shape {image.shape} does not fit {len(channels)} channels and labels of shape "
            f"{labels.shape}; give an image (C, Y, X) of the labels' size"
        )
    if 0 in labels.shape:
        raise ValueError(f"labels of shape {labels.shape} hold no pixel; give a field of at least 1 × 1 px")
    if confidence is not None and confidence.shape != labels.shape:
        raise ValueError(f"confidence of shape {confidence.shape} does not fit labels of shape {labels.shape}")


def _shape_columns(nuclei: Nuclei, shape: Shape, pixel_size_um: float | None) -> Columns:
    height, width = nuclei.dense.shape
    y0, x0, y1, x1 = shape.box.T
    um2_per_px = np.nan if pixel_size_um is None else pixel_size_um**2
    features: Columns = {
        "Area": shape.area,
        "AreaUm2": shape.area * um2_per_px,
        "Center_X": shape.center_x,
        "Center_Y": shape.center_y,
        "BoundingBoxMinimum_X": x0,
        "BoundingBoxMinimum_Y": y0,
        "BoundingBoxMaximum_X": x1,
        "BoundingBoxMaximum_Y": y1,
        "Perimeter": shape.perimeter,
        "Eccentricity": shape.eccentricity,
        "Solidity": shape.solidity,
        "MajorAxisLength": shape.major_axis,
        "MinorAxisLength": shape.minor_axis,
        "Orientation": shape.orientation,
    }
    columns: Columns = {f"Nuclei_AreaShape_{name}": values for name, values in features.items()}
    columns["Nuclei_Flag_TouchesBorder"] = (y0 == 0) | (x0 == 0) | (y1 == height) | (x1 == width)
    return columns


def _region_columns(nuclei: Nuclei, around: Surroundings, confidence: NDArray[np.float32] | None) -> Columns:
    if confidence is None:
        certainty = np.full(len(nuclei), np.nan)
    else:
        certainty = region_means(np.ascontiguousarray(confidence, np.float32), nuclei.pixels)
    return {
        "Metadata_ObjectNumber": nuclei.label_values,
        "Cytoplasm_AreaShape_Area": around.ring.counts,
        "Nuclei_Flag_FieldBackground": around.background.counts == 0,
        "Nuclei_Confidence": certainty,
    }


def _intensity_columns(measured: _Channel, suffix: str) -> Columns:
    nucleus, ring = measured.nucleus, measured.ring
    return {
        f"Nuclei_Intensity_MeanIntensity_{suffix}": nucleus.mean,
        f"Nuclei_Intensity_MedianIntensity_{suffix}": nucleus.median,
        f"Nuclei_Intensity_StdIntensity_{suffix}": nucleus.std,
        f"Nuclei_Intensity_MinIntensity_{suffix}": nucleus.minimum,
        f"Nuclei_Intensity_MaxIntensity_{suffix}": nucleus.maximum,
        f"Nuclei_Intensity_IntegratedIntensity_{suffix}": nucleus.total,
        f"Nuclei_Intensity_LocalBackground_{suffix}": measured.local,
        f"Cytoplasm_Intensity_MeanIntensity_{suffix}": ring.mean,
        f"Cytoplasm_Intensity_MedianIntensity_{suffix}": ring.median,
        f"Nuclei_Flag_SaturatedPixels_{suffix}": nucleus.saturated,
    }


def _sensor_columns(measured: _Channel, around: Surroundings, *, least_px: int, least_signal: float) -> Columns:
    """Ratio of background-free ring and nucleus means, and its log2; NaN where either has no meaning."""
    above = measured.nucleus.mean - measured.background
    usable = (around.ring.counts >= least_px) & (above > 0) & (above >= least_signal)
    missing = np.full(len(above), np.nan)
    ratio = np.divide(measured.ring.mean - measured.background, above, out=missing.copy(), where=usable)
    log_ratio = np.log2(ratio, out=missing.copy(), where=usable & (ratio > 0))
    return {"Nuclei_Sensor_Ratio": ratio, "Nuclei_Sensor_LogRatio": log_ratio}
