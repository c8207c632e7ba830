"""Histogram of DNA content with the fitted phases."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hcs.readout.phases import EDGES_N, PHASES, fit_weights
from hcs.readout.readouts import Readouts
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
