"""Plate heat map of one well readout."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hcs.plate.keys import WellId, plate_shape, row_name
from hcs.report.style import COLOUR_MAP, short

_MARKERS = (("negative", "o", "negative control"), ("positive", "^", "positive control"))


def draw_plate(axes: Axes, wells: pd.DataFrame, readout: str) -> None:
    """Draw the wells of a well table as a plate, coloured by ``readout``.

    Expected wells without a value are hatched, wells that are not expected stay blank; circles mark negative,
    triangles positive controls.
    """
    places = [WellId.parse(name) for name in wells["Metadata_Well"]]
    shape = plate_shape(places)
    grid = np.full(shape, np.nan)
    values = wells[readout].to_numpy(dtype=np.float64, na_value=np.nan)
    for place, value in zip(places, values, strict=True):
        grid[place.row, place.column] = value
        if not np.isfinite(value):
            corner = (place.column - 0.5, place.row - 0.5)
            axes.add_patch(Rectangle(corner, 1, 1, fill=False, hatch="////", edgecolor="0.6", linewidth=0))
    finite = np.isfinite(values)
    image = axes.imshow(np.ma.masked_invalid(grid), cmap=COLOUR_MAP, aspect="equal", interpolation="nearest")
    if finite.any():
        bar = axes.figure.colorbar(image, ax=axes, fraction=0.03, pad=0.02)
        bar.set_label(short(readout, 40), parse_math=False)
    _mark_controls(axes, wells, places, shape)
    _name_wells(axes, shape)


def plate_heatmap(wells: pd.DataFrame, readout: str, *, title: str = "") -> Figure:
    """Figure of ``draw_plate``."""
    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    axes = figure.add_subplot()
    draw_plate(axes, wells, readout)
    axes.set_title(short(title, 60), parse_math=False, pad=22)
    return figure


def _mark_controls(axes: Axes, wells: pd.DataFrame, places: list[WellId], shape: tuple[int, int]) -> None:
    size = 26.0 * 144 / (shape[1] ** 2)
    shown = False
    for role, marker, label in _MARKERS:
        chosen = [p for p, r in zip(places, wells["Metadata_Role"], strict=True) if r == role]
        if chosen:
            shown = True
            axes.scatter(
                [p.column for p in chosen],
                [p.row for p in chosen],
                s=size,
                marker=marker,
                facecolor="white",
                edgecolor="black",
                linewidth=0.7,
                label=label,
            )
    if shown:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=2, frameon=False, fontsize=8)


def _name_wells(axes: Axes, shape: tuple[int, int]) -> None:
    rows, columns = shape
    step = 1 if columns <= 24 else 4
    axes.set_xticks(range(0, columns, step), [str(c + 1) for c in range(0, columns, step)])
    axes.set_yticks(range(0, rows, step), [row_name(r) for r in range(0, rows, step)])
    axes.tick_params(length=0, labelsize=7, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    for side in axes.spines.values():
        side.set_color("0.7")
