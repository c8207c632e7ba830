"""Whole cells and their cytoplasm, cell minus nucleus, as columns of the nucleus table in CellProfiler's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hcs.measure.cell_pixels import CellPixels, cell_pixels
from hcs.measure.cells import grow_cells
from hcs.measure.compartment_columns import RATIOS, STATISTICS
from hcs.measure.intensity import Floats, Floats32, as_float32
from hcs.measure.regions import Ints32, PixelLists, Regions
from hcs.measure.ring import ring_cytoplasm
from hcs.measure.settings import CellSettings
from hcs.measure.shape import measure_shape, shape_columns

Columns = dict[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRequest:
    """Whole cells that are to be grown: in which channel, how; ``nobodys`` labels what is no nucleus and stays."""

    channel: str
    settings: CellSettings
    nobodys: int | None = None
    territory: Floats32 | None = None
    """(Y, X), what a network told of the channel, see `hcs.measure.cells.grow_cells`."""


@dataclass(frozen=True, slots=True)
class SensorOfNuclei:
    """The sensor's channel by index and its mean (n,) in the nuclei; and when a ratio has a meaning."""

    channel: int
    mean: Floats
    least_signal: float
    least_px: int
    grounded: bool


def measure_cells(
    request: CellRequest,
    image: NDArray[np.generic],
    nuclei: Regions,
    ring: PixelLists,
    fill: NDArray[np.bool_] | None,
    *,
    suffixes: Mapping[str, str],
    backgrounds: Mapping[str, float],
    pixel_size_um: float | None,
    origin: tuple[int, int],
    field: tuple[int, int],
    blank: tuple[int, ...],
    sensor: SensorOfNuclei | None,
) -> tuple[Columns, Ints32]:
    """Grow the ``nuclei`` in a channel of ``image`` (C, Y, X) and measure cells and cytoplasm in all channels: columns
    (n,), and the cells (Y, X), numbered as ``nuclei.dense``.

    ``suffixes`` are the channels by name, ``backgrounds`` the field's; of ``blank`` channels nothing was recorded. The
    image is part of a ``field`` (height, width) and starts at ``origin``.
    """
    cells = grow_cells(
        nuclei,
        ring,
        image[list(suffixes).index(request.channel)],
        background=backgrounds[request.channel],
        settings=request.settings,
        fill=fill,
        closed=None if request.nobodys is None else nuclei.label_values == request.nobodys,
        territory=request.territory,
    )
    found = cell_pixels(cells, nuclei)
    columns = _shape_values(found, pixel_size_um=pixel_size_um, origin=origin, field=field)
    for c, ((channel, suffix), plane) in enumerate(zip(suffixes.items(), image, strict=True)):
        pixels = as_float32(plane)
        columns |= _intensity_values(found, pixels, suffix, blank=c in blank)
        if sensor is not None and c == sensor.channel:
            means = columns[f"Cytoplasm_Intensity_MeanIntensity_{suffix}"].astype(np.float64)
            columns |= _sensor_values(found, pixels, means, sensor, background=backgrounds[channel])
    return columns, cells


def _shape_values(
    found: CellPixels, *, pixel_size_um: float | None, origin: tuple[int, int], field: tuple[int, int]
) -> Columns:
    """Columns on shape and place, in pixels of a ``field`` (height, width) whose part here starts at ``origin``."""
    um2_per_px = np.nan if pixel_size_um is None else pixel_size_um**2
    cytoplasm = found.cytoplasm.counts
    columns, touches = shape_columns(
        "Cells", measure_shape(found.cells), pixel_size_um=pixel_size_um, origin=origin, field=field
    )
    return columns | {
        "Cytoplasm_AreaShape_Area": cytoplasm,
        "Cytoplasm_AreaShape_AreaUm2": cytoplasm * um2_per_px,
        "Cells_Flag_TouchesBorder": touches,
    }


def _intensity_values(found: CellPixels, pixels: Floats32, suffix: str, *, blank: bool) -> Columns:
    """Columns on intensities of cells and cytoplasm in one channel (Y, X); NaN where nothing was recorded in it."""
    columns: Columns = {}
    for name, table in zip(("Cells", "Cytoplasm"), found.statistics(pixels), strict=True):
        for feature, values in zip(STATISTICS, table.T, strict=True):
            columns[f"{name}_Intensity_{feature}Intensity_{suffix}"] = np.full(len(values), np.nan) if blank else values
    return columns


def _sensor_values(
    found: CellPixels, pixels: Floats32, means: Floats, sensor: SensorOfNuclei, *, background: float
) -> Columns:
    """Sensor ratios over the whole cytoplasm and over its brighter component; NaN where `Nuclei_Sensor_Ratio` would be,
    with the cytoplasm in place of the ring."""
    lists = found.cytoplasm
    bright = ring_cytoplasm(pixels, lists, background=background, least_px=sensor.least_px, any_dim=True).mean
    above = sensor.mean - background
    usable = (lists.counts >= sensor.least_px) & (above > 0) & (above >= sensor.least_signal) & sensor.grounded
    return {
        name: np.divide(values - background, above, out=np.full(len(above), np.nan), where=usable)
        for name, values in zip(RATIOS, (means, bright), strict=True)
    }
