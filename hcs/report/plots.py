"""The figures of a plate's page for slides and papers: heat maps, Z′, dose curves, DNA histograms, nuclei, quality."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hcs.report.cells import DENSITY, Cells
from hcs.report.conditions import Histograms
from hcs.report.curves import dose_curves
from hcs.report.heatmap import plate_heatmap
from hcs.report.names import readout_name
from hcs.report.style import COLOUR_MAP, NEGATIVE, PHASE_COLOURS, POSITIVE, SAMPLE, short
from hcs.report.tables import PlateTables

_MOST_BARS = 15
_MOST_PANELS = 12
_MOST_STRIPS = 16
_MOST_READOUTS = 4


def plate_figures(
    tables: PlateTables, *, histograms: Histograms | None = None, cells: Cells | None = None
) -> dict[str, Figure]:
    """Figures by name of file, without ending; those whose table is missing are left out."""
    figures: dict[str, Figure] = {}
    wells = tables.frame("wells")
    shown = [name for name in tables.readouts if name in wells and wells[name].notna().any()]
    for readout in shown[:_MOST_READOUTS]:
        figures[f"plate-{file_name(readout)}"] = plate_heatmap(wells, readout, title=tables.plate)
        if "Metadata_Dose" in wells:
            figures[f"doses-{file_name(readout)}"] = dose_curves(wells, readout, fits=tables.frame("doses"))
    ranking = zprime_figure(tables)
    if ranking is not None:
        figures["zprime"] = ranking
    if histograms is not None and histograms.conditions:
        figures["dna"] = histograms_figure(histograms)
    if cells is not None:
        figures["nuclei"] = cells_figure(cells)
    strips = quality_figure(tables.frame("fields"))
    if strips is not None:
        figures["quality"] = strips
    return figures


def file_name(readout: str) -> str:
    """A readout as part of a file's name: letters, digits, dashes and underscores."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", readout)[:80]


def zprime_figure(tables: PlateTables) -> Figure | None:
    """Z′ of the best readouts over all controls, with intervals; None where there is none."""
    table = tables.frame("assay") if not tables.frame("assay").empty else tables.frame("plate")
    if table.empty or not {"Readout", "Group", "ZPrime"} <= set(table.columns):
        return None
    own = table[(table["Group"] == "") & table["ZPrime"].notna()].sort_values("ZPrime", ascending=False)
    own = own.head(_MOST_BARS)[::-1]
    if own.empty:
        return None
    figure = Figure(figsize=(7, 0.9 + 0.32 * len(own)), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(own))
    axes.barh(places, own["ZPrime"], color=NEGATIVE, height=0.6)
    known = np.isfinite(own["ZPrime_Low"]) & np.isfinite(own["ZPrime_High"])
    axes.hlines(places[known], own["ZPrime_Low"][known], own["ZPrime_High"][known], color=SAMPLE, linewidth=1.5)
    axes.axvline(0.5, color="0.5", linestyle=":", linewidth=1)
    axes.set_yticks(places, [short(readout_name(str(name)), 48) for name in own["Readout"]], fontsize=8)
    axes.set_xlim(min(0.0, float(own["ZPrime"].min())), 1)
    axes.set_xlabel("Z′ over wells, all controls of the plate")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def histograms_figure(histograms: Histograms) -> Figure:
    """DNA histograms of the conditions, controls first, with the fitted phases."""
    shown = histograms.conditions[:_MOST_PANELS]
    columns = min(len(shown), 4)
    rows = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(3 * columns, 2.1 * rows + 0.3), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, condition in zip(grid.flat, shown, strict=False):
        _draw_histogram(axes, histograms, condition)
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    if len(shown) < len(histograms.conditions):
        figure.suptitle(f"first {len(shown)} of {len(histograms.conditions)} conditions", fontsize=9)
    return figure


def _draw_histogram(axes: Axes, histograms: Histograms, condition: Mapping[str, Any]) -> None:
    counts = np.asarray(condition["counts"], dtype=np.float64)
    axes.stairs(counts, histograms.edges, fill=True, color="0.85")
    middle = (histograms.edges[:-1] + histograms.edges[1:]) / 2
    for colour, curve in zip(PHASE_COLOURS, condition["curves"] or (), strict=False):
        axes.plot(middle, curve, color=colour, linewidth=1)
    dose = "" if condition["dose"] is None else f" {condition['dose']:g} {condition['unit']}"
    name = "negative controls" if condition["role"] == "negative" else condition["compound"] or "all wells"
    axes.set_title(short(f"{name}{dose}, {condition['nuclei']:,}", 44), fontsize=8, parse_math=False)
    axes.set_xlabel("DNA content (N)" if histograms.in_n else "log₂ DNA content", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def cells_figure(cells: Cells) -> Figure:
    """Density of all nuclei over DNA content and sensor ratio."""
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    axes = figure.add_subplot()
    density = np.ma.masked_equal(cells.density.reshape(DENSITY[::-1]), 0)
    extent = (cells.x.low, cells.x.high, cells.y.low, cells.y.high)
    image = axes.imshow(np.sqrt(density), cmap=COLOUR_MAP, origin="lower", extent=extent, aspect="auto")
    axes.yaxis.set_major_formatter(lambda value, _: f"{2**value:.3g}")
    figure.colorbar(image, ax=axes, fraction=0.04).set_label("√ nuclei")
    axes.set_xlabel(cells.x.title)
    axes.set_ylabel(cells.y.title)
    axes.set_title(f"{cells.nuclei:,} nuclei", fontsize=9)
    return figure


def quality_figure(fields: pd.DataFrame) -> Figure | None:
    """Every measure of image quality by field, in plate order, flagged fields marked; None without any."""
    names = [str(c) for c in fields.columns if str(c).startswith("Quality_") and fields[c].notna().any()][:_MOST_STRIPS]
    if not names:
        return None
    columns = min(len(names), 4)
    rows = math.ceil(len(names) / columns)
    figure = Figure(figsize=(3 * columns, 1.8 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    flagged = (fields["Flags"].fillna("") != "").to_numpy() if "Flags" in fields else np.zeros(len(fields), bool)
    place = np.arange(len(fields))
    for axes, name in zip(grid.flat, names, strict=False):
        values = fields[name].to_numpy(dtype=np.float64)
        axes.scatter(place[~flagged], values[~flagged], s=5, color=NEGATIVE, linewidth=0)
        axes.scatter(place[flagged], values[flagged], s=18, marker="D", color=POSITIVE, linewidth=0)
        axes.set_title(short(name.removeprefix("Quality_").replace("_", " "), 40), fontsize=8, parse_math=False)
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid.flat[len(names) :]:
        axes.set_visible(False)
    return figure
