"""Labels and image → the nucleus table of one field."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from hcs.measure.columns import channel_suffixes, column_dictionary, ring_name
from hcs.measure.compartments import CellRequest, SensorOfNuclei, measure_cells
from hcs.measure.fill import Fill
from hcs.measure.ground import shows_ground
from hcs.measure.intensity import (
    Floats,
    Pixels,
    RegionIntensities,
    as_float32,
    as_pixels,
    background_of,
    block_means,
    local_background,
    region_means,
    region_statistics,
    saturation_level,
)
from hcs.measure.kinds import Kinds
from hcs.measure.micronuclei import Micronuclei, find_micronuclei
from hcs.measure.regions import Regions, regions_of
from hcs.measure.ring import Cytoplasm, ring_cytoplasm
from hcs.measure.settings import MeasureSettings
from hcs.measure.shape import Shape, measure_shape, shape_columns
from hcs.measure.surroundings import Surroundings, find_surroundings

if TYPE_CHECKING:
    import pandas as pd


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Where a part of a field lies, and what only the whole field tells.

    Measurements are those of the whole field for nuclei whose box, grown by 5 times ``MeasureSettings.reach_px``, lies
    in the window or ends with the field.
    """

    origin: tuple[int, int]
    """Row and column of the field where the window starts."""
    field: tuple[int, int]
    """Height and width of the field."""
    backgrounds: Mapping[str, float]
    """Channel → the field's background, grey levels."""
    grounds: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Channel → whose background that is, see `hcs.measure.measure.settled_background`."""


Columns = dict[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class NucleusTable:
    """One row per nucleus of one field, in ascending order of label value; columns as in
    ``column_dictionary``."""

    columns: Columns
    backgrounds: dict[str, float]
    """Channel → the field's background, in grey levels; also there for a field without nuclei."""
    grounds: dict[str, str]
    """Channel → whose background that is, see `settled_background`; empty with a window, which knows."""
    cells: NDArray[np.uint32] | None = None
    """Labels (Y, X) of the whole cells, numbered as the nuclei, where they were asked for."""
    micronuclei: NDArray[np.uint32] | None = None
    """Labels (Y, X) of the micronuclei, numbered in the order of their nuclei, where they were asked for."""

    def __len__(self) -> int:
        return len(self.columns["Metadata_ObjectNumber"])

    def to_frame(self) -> pd.DataFrame:
        """The columns as a DataFrame, in order."""
        import pandas as pd  # noqa: PLC0415  half a second, which a worker need not spend

        return pd.DataFrame(self.columns)


def measure_nuclei(
    labels: NDArray[np.integer],
    image: NDArray[np.generic],
    *,
    channels: tuple[str, ...],
    dna: str | None,
    sensor: str | None,
    settings: MeasureSettings,
    pixel_size_um: float | None = None,
    confidence: NDArray[np.float32] | None = None,
    recorded: NDArray[np.generic] | None = None,
    window: Window | None = None,
    fill: Fill | None = None,
    backgrounds: Mapping[str, float] | None = None,
    always: bool = False,
    cells: CellRequest | None = None,
    micronuclei: bool = False,
    kinds: Kinds | None = None,
) -> NucleusTable:
    """Measure every nucleus of ``labels`` (Y, X) in every channel of ``image`` (C, Y, X), in pixels and grey
    levels.

    Labels may have gaps and any integer dtype; one label in several pieces is one nucleus; none at all gives
    a table without rows. Pixels are read as float32. ``confidence`` (Y, X) is averaged over each nucleus.
    ``recorded`` (C, Y, X) is the image as the camera gave it, where ``image`` was corrected since: saturated pixels are
    counted in it, and whether ``sensor_min_signal`` holds goes by its type. With a ``window``, labels and image are
    that part of a larger field; positions are those in the field. Pixels of ``fill`` were not recorded: no ring and no
    background has them, and a nucleus beside them counts as cut, as at the border.

    With ``backgrounds`` (channel → grey levels) the sensor's background is that level where the field shows no ground,
    and there is no ratio where there is no such level; with ``always`` every channel and field has it.

    With ``cells`` each nucleus is grown to its whole cell, which is measured too. With ``micronuclei`` those in the DNA
    channel are counted, each at its nearest nucleus; that needs all of a field. With ``kinds`` each nucleus gets its
    kind.

    NaN stands for: area in µm² without a pixel size, ring intensities without a ring, the sensor ratio with
    too small a ring or a nucleus hardly above the field's background, the log ratio of a ratio not above 0, and
    confidence where none is given, and all intensities in a channel of which nothing was recorded. Nothing else is NaN.

    Raises ConfigError for unknown or clashing channel names, and ValueError where shapes do not match, labels
    are negative, or pixels are not finite.
    """
    dictionary = column_dictionary(
        channels,
        dna,
        sensor,
        None if cells is None else cells.channel,
        micronuclei=micronuclei,
        kinds=() if kinds is None else kinds.names,
    )
    _require_same_shape(labels, image, channels, confidence)
    nuclei = regions_of(labels)
    shape = measure_shape(nuclei)
    missing = None if fill is None else fill.mask
    around = find_surroundings(nuclei, shape.box, settings, fill=missing)
    found = _shape_columns(nuclei, shape, pixel_size_um, window)
    if missing is not None:
        found["Nuclei_Flag_TouchesBorder"] = found["Nuclei_Flag_TouchesBorder"].astype(bool) | _beside(nuclei, missing)
    found |= _region_columns(nuclei, around, confidence)
    if kinds is not None:
        found |= kinds.columns(nuclei.pixels)
    found_backgrounds: dict[str, float] = {}
    grounds: dict[str, str] = {}
    of_sensor: SensorOfNuclei | None = None
    micro: Micronuclei | None = None
    raw = image if recorded is None else recorded
    for c, (plane, before, (channel, suffix)) in enumerate(
        zip(image, raw, channel_suffixes(channels).items(), strict=True)
    ):
        pixels = as_pixels(plane)
        known = None if window is None else window.backgrounds[channel]
        if known is None:
            known, grounds[channel] = settled_background(
                block_means(pixels, settings, missing),
                settings,
                channel,
                backgrounds if always or channel == sensor else None,
                always=always,
            )
        measured = _measure_channel(
            pixels,
            None if recorded is None else before,
            nuclei,
            around,
            background=known,
            ceiling=saturation_level(before.dtype, settings),
        )
        found_backgrounds[channel] = measured.background
        found |= _intensity_columns(measured, suffix)
        if fill is not None and c in fill.blank and channel not in (dna, sensor):
            found |= _nothing_of(suffix, len(nuclei))
            continue
        if channel == dna:
            found["Nuclei_DNA_Content"] = measured.nucleus.total - measured.local * shape.area
            if micronuclei:
                micro = find_micronuclei(as_float32(plane), nuclei, missing)
                found |= micro.columns(len(nuclei))
        if channel == sensor:
            least = settings.sensor_min_signal if before.dtype.kind in "iu" else 0.0
            cytoplasm = ring_cytoplasm(
                pixels, around.ring, background=measured.background, least_px=settings.ring_min_px
            )
            ground = grounds.get(channel, "") if window is None else window.grounds.get(channel, "")
            of_sensor = SensorOfNuclei(
                c, measured.nucleus.mean, least_signal=least, least_px=settings.ring_min_px, grounded=ground != "none"
            )
            if settings.sensor_ratio == "dhb":
                measured = _as_dhb(measured, pixels, around)
            found |= _sensor_columns(measured, around, cytoplasm, least_px=settings.ring_min_px, least_signal=least)
            if ground == "none":
                found |= {name: np.full(len(nuclei), np.nan) for name in _RATIOS}
    whole = None
    if cells is not None:
        found = {ring_name(name): values for name, values in found.items()}
        more, grown = measure_cells(
            cells,
            image,
            nuclei,
            around.ring,
            missing,
            suffixes=channel_suffixes(channels),
            backgrounds=found_backgrounds,
            pixel_size_um=pixel_size_um,
            origin=(0, 0) if window is None else window.origin,
            field=(labels.shape[0], labels.shape[1]) if window is None else window.field,
            blank=() if fill is None else fill.blank,
            sensor=of_sensor,
        )
        found |= more
        whole = nuclei.labels_of(grown)
    columns = {c.name: found[c.name].astype(np.str_ if c.dtype == "string" else c.dtype) for c in dictionary}
    return NucleusTable(columns, found_backgrounds, grounds, whole, None if micro is None else micro.labels)


_RATIOS = ("Nuclei_Sensor_Ratio", "Nuclei_Sensor_LogRatio", "Nuclei_Sensor_RatioMixture")


def settled_background(
    means: Floats,
    settings: MeasureSettings,
    channel: str,
    backgrounds: Mapping[str, float] | None,
    *,
    always: bool = False,
) -> tuple[float, str]:
    """A field's background in a channel of these block means (n,), and whose it is: ``field``, ``plate``, ``none``.

    Without ``backgrounds`` it is the field's own. Else that is so where the field shows ground, and the plate's level
    takes its place elsewhere, if the field's is higher. ``none``: the field's own is in cells and the plate's unknown.
    """
    own = background_of(means, settings)
    if backgrounds is None:
        return own, "field"
    if always and channel in backgrounds:
        return backgrounds[channel], "plate"
    if shows_ground(means):
        return own, "field"
    if channel not in backgrounds:
        return own, "none"
    return min(own, backgrounds[channel]), "plate"


@dataclass(frozen=True, slots=True)
class _Channel:
    """One channel's measurements: statistics of nuclei and rings, local backgrounds (n,), field
    background."""

    nucleus: RegionIntensities
    ring: RegionIntensities
    local: Floats
    background: float


def _measure_channel(
    pixels: Pixels,
    before: NDArray[np.generic] | None,
    nuclei: Regions,
    around: Surroundings,
    *,
    background: float,
    ceiling: float,
) -> _Channel:
    """Measurements of one plane (Y, X), which was ``before`` when it was recorded, if not itself; pixels from
    ``ceiling`` are saturated."""
    nucleus = region_statistics(pixels, nuclei.pixels, ceiling=ceiling)
    if before is not None:
        seen = region_statistics(as_pixels(before), nuclei.pixels, ceiling=ceiling)
        nucleus = replace(nucleus, saturated=seen.saturated)
    return _Channel(
        nucleus=nucleus,
        ring=region_statistics(pixels, around.ring, ceiling=ceiling, middle_only=True),
        local=local_background(pixels, around.background, fallback=background),
        background=background,
    )


def _as_dhb(measured: _Channel, pixels: Pixels, around: Surroundings) -> _Channel:
    """Measurements whose means are those of the published DHB ratio: nucleus median, and the median of the ring's upper
    half (Spencer et al., Cell 155, 369 (2013))."""
    values, offsets = pixels.ravel(), around.ring.offsets
    upper = np.full(len(around.ring.counts), np.nan)
    for i in np.flatnonzero(around.ring.counts):
        ring = np.sort(values[around.ring.indices[offsets[i] : offsets[i + 1]]])
        upper[i] = np.median(ring[len(ring) // 2 :])
    return replace(
        measured,
        nucleus=replace(measured.nucleus, mean=measured.nucleus.median),
        ring=replace(measured.ring, mean=upper),
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


def _shape_columns(nuclei: Regions, shape: Shape, pixel_size_um: float | None, window: Window | None) -> Columns:
    origin, field = ((0, 0), nuclei.dense.shape) if window is None else (window.origin, window.field)
    size = field[0], field[1]
    columns, touches = shape_columns("Nuclei", shape, pixel_size_um=pixel_size_um, origin=origin, field=size)
    return columns | {"Nuclei_Flag_TouchesBorder": touches}


def _region_columns(nuclei: Regions, around: Surroundings, confidence: NDArray[np.float32] | None) -> Columns:
    if confidence is None:
        mean_confidence = np.full(len(nuclei), np.nan)
    else:
        mean_confidence = region_means(np.ascontiguousarray(confidence, np.float32), nuclei.pixels)
    return {
        "Metadata_ObjectNumber": nuclei.label_values,
        "Cytoplasm_AreaShape_Area": around.ring.counts,
        "Nuclei_Flag_FieldBackground": around.background.counts == 0,
        "Nuclei_Confidence": mean_confidence,
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


def _nothing_of(suffix: str, n: int) -> Columns:
    """Intensities in a channel of which nothing was recorded."""
    features = ("Mean", "Median", "Std", "Min", "Max", "Integrated")
    names = [f"Nuclei_Intensity_{feature}Intensity_{suffix}" for feature in features]
    names += [f"Cytoplasm_Intensity_{feature}Intensity_{suffix}" for feature in ("Mean", "Median")]
    return {name: np.full(n, np.nan) for name in (*names, f"Nuclei_Intensity_LocalBackground_{suffix}")}


def _beside(nuclei: Regions, fill: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Nuclei with a pixel in fill, or beside it along a side or a corner, (n,)."""
    near = cv2.dilate(fill.view(np.uint8), np.ones((3, 3), np.uint8)).ravel()
    touched = np.zeros(len(nuclei) + 1, np.bool_)
    touched[nuclei.dense.ravel()[near > 0]] = True
    return touched[1:]


def _sensor_columns(
    measured: _Channel, around: Surroundings, cytoplasm: Cytoplasm, *, least_px: int, least_signal: float
) -> Columns:
    """Ratio of background-free ring and nucleus means, its log2, the same of the ring's cytoplasm, and that one's share
    of the ring; NaN where they have no meaning."""
    above = measured.nucleus.mean - measured.background
    usable = (around.ring.counts >= least_px) & (above > 0) & (above >= least_signal)
    missing = np.full(len(above), np.nan)
    ratio = np.divide(measured.ring.mean - measured.background, above, out=missing.copy(), where=usable)
    log_ratio = np.log2(ratio, out=missing.copy(), where=usable & (ratio > 0))
    mixture = np.divide(cytoplasm.mean - measured.background, above, out=missing.copy(), where=usable)
    return {
        "Nuclei_Sensor_Ratio": ratio,
        "Nuclei_Sensor_LogRatio": log_ratio,
        "Nuclei_Sensor_RatioMixture": mixture,
        "Nuclei_Sensor_CytoplasmShare": cytoplasm.share,
    }
