"""All figures of the report, the composite one, and figures as files or in a page."""

from __future__ import annotations

import base64
import os
import warnings
from contextlib import suppress
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hcs.errors import ConfigError, ResultsError
from hcs.readout.cycle.columns import PHASES
from hcs.readout.cycle.phases import EDGES_N, fit_weights
from hcs.readout.readouts import Readouts
from hcs.report.curves import dose_curves, dosed_compounds, draw_dose_curve, name_bands
from hcs.report.heatmap import draw_plate, plate_heatmap
from hcs.report.overlay import draw_field, overlay_figure
from hcs.report.style import PHASE_COLOURS, short


def draw_dna(axes: Axes, readouts: Readouts) -> None:
    """Draw DNA content in units of N: the nuclei the 2N peak was found in, the fitted phases, and the gates.

    Without a usable peak the reason stands in the picture instead.
    """
    peak, counts = readouts.peak, readouts.histogram
    if not peak.usable or not counts.sum():
        axes.set_axis_off()
        axes.text(
            0.5,
            0.5,
            short(f"No usable 2N peak: {peak.reason}", 160),
            ha="center",
            wrap=True,
            parse_math=False,
        )
        return
    axes.stairs(counts, EDGES_N, fill=True, color="0.85")
    shapes = peak.shapes()
    weights = fit_weights(counts[None], shapes)[0]
    middle = (EDGES_N[:-1] + EDGES_N[1:]) / 2
    for phase, colour, shape, weight in zip(PHASES, PHASE_COLOURS, shapes, weights, strict=True):
        label = f"{phase} {weight:.0%}"
        axes.plot(middle, counts.sum() * weight * shape, color=colour, linewidth=1.2, label=label)
    axes.plot(middle, counts.sum() * (weights @ shapes), color="black", linewidth=0.8, label="sum")
    for gate in readouts.settings.phase_gates_n:
        axes.axvline(gate, color="0.6", linewidth=0.7, linestyle=":")
    axes.set_xlim(0, 8)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("DNA content (N)")
    axes.set_ylabel("nuclei")
    axes.set_title(f"{peak.n:,} nuclei, {peak.source_wells}; CV {peak.cv:.1%}", fontsize=9)
    axes.legend(fontsize=8, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def dna_histogram(readouts: Readouts) -> Figure:
    """Figure of ``draw_dna``."""
    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    draw_dna(figure.add_subplot(), readouts)
    return figure


__all__ = [
    "dna_histogram",
    "dose_curves",
    "figure_bytes",
    "overlay_figure",
    "picture",
    "plate_heatmap",
    "readme_figure",
    "save_figure",
    "write_bytes",
]
Format = Literal["png", "svg"]


def readme_figure(
    readouts: Readouts,
    image: npt.NDArray[np.generic],
    labels: npt.NDArray[np.integer],
    *,
    title: str,
    pixel_size_um: float | None = None,
) -> Figure:
    """One picture of a plate: heat map of the first readout, its dose curves, and a labelled field (Y, X).

    The curves are those of the first two compounds with doses; without any, the DNA histogram is drawn.
    """
    readout = readouts.settings.readouts[0]
    figure = Figure(figsize=(12, 7.2), layout="constrained")
    grid = figure.add_gridspec(2, 4, height_ratios=[1.15, 1])
    plate = figure.add_subplot(grid[0, :2])
    draw_plate(plate, readouts.wells, readout)
    plate.set_title("one value per well", fontsize=9, pad=18)
    draw_field(figure.add_subplot(grid[:, 2:]), image, labels, title=title, pixel_size_um=pixel_size_um)
    compounds = dosed_compounds(readouts.wells)[:2]
    if not compounds:
        draw_dna(figure.add_subplot(grid[1, :2]), readouts)
    first = None
    for column, compound in enumerate(compounds):
        place = grid[1, column] if len(compounds) == 2 else grid[1, :2]
        axes = figure.add_subplot(place, sharey=first)
        draw_dose_curve(axes, readouts.wells, compound, readout)
        if first is None:
            axes.set_ylabel(short(readout, 40), fontsize=8, parse_math=False)
            name_bands(axes)
            first = axes
    return figure


def figure_bytes(figure: Figure, *, kind: Format = "png", dpi: int = 110) -> bytes:
    """The figure as PNG or SVG, without a date, so that the same figure gives the same bytes.

    Characters of user text that the font lacks are drawn as boxes, without a warning.
    """
    buffer = BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with warnings.catch_warnings(), rc_context({"svg.hashsalt": "hcs"}):
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format=kind, dpi=dpi, metadata=metadata)
    return buffer.getvalue()


def picture(figure: Figure, alt: str) -> str:
    """A figure as HTML with an inline PNG, ``alt`` also being its caption."""
    data = base64.b64encode(figure_bytes(figure)).decode("ascii")
    text = escape(alt)
    image = f'<img alt="{text}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>"


def save_figure(figure: Figure, path: str | Path, *, dpi: int = 150) -> None:
    """Write the figure as PNG or SVG by the ending of ``path``; another ending raises ConfigError."""
    target = Path(path)
    kind = target.suffix.lower()
    if kind not in (".png", ".svg"):
        raise ConfigError(f"{target.name!r} does not end in .png or .svg; figures are written as one of these")
    write_bytes(target, figure_bytes(figure, kind="png" if kind == ".png" else "svg", dpi=dpi))


def write_bytes(target: Path, content: bytes) -> None:
    """Write under a temporary name beside ``target`` and rename; raises ResultsError when that fails."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(target)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise ResultsError(f"{target} cannot be written: {error.strerror}; free space or choose a folder") from error
