"""Dose curves of a readout, one panel per compound."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hcs.report.style import NEGATIVE, POSITIVE, SAMPLE, short

_TESTED = ("sample", "positive")
_MAX_PANELS = 12


def dosed_compounds(wells: pd.DataFrame) -> list[str]:
    """Compounds with at least two doses above 0 on the plate, by name."""
    tested = wells[wells["Metadata_Role"].isin(_TESTED) & (wells["Metadata_Dose"] > 0)]
    doses = tested.groupby("Metadata_Compound")["Metadata_Dose"].nunique()
    return sorted(str(name) for name in doses.index[doses >= 2])


def draw_dose_curve(
    axes: Axes, wells: pd.DataFrame, compound: str, readout: str, fits: pd.DataFrame | None = None
) -> None:
    """Draw one compound: a point per well, a line through the means of the doses, controls as bands.

    Where ``fits`` (the dose table) holds a curve of the compound, that is the line, with its EC50 dashed.

    The bands are mean plus and minus one standard deviation of the control wells that share a group with the
    compound, of all control wells where the map has no groups. Positive-control wells of the compound itself
    are drawn as triangles at their dose, beside the line.
    """
    own = wells[(wells["Metadata_Compound"] == compound) & (wells["Metadata_Dose"] > 0)]
    own = own[np.isfinite(own[readout].to_numpy(dtype=np.float64))]
    for role, colour, label in (("negative", NEGATIVE, "negatives"), ("positive", POSITIVE, "positives")):
        _band(axes, _controls(wells, compound, role)[readout], colour, label)
    samples = own[own["Metadata_Role"] == "sample"]
    controls = own[own["Metadata_Role"] == "positive"]
    axes.scatter(samples["Metadata_Dose"], samples[readout], s=14, color=SAMPLE, alpha=0.55, linewidth=0)
    axes.scatter(controls["Metadata_Dose"], controls[readout], s=18, marker="^", color=POSITIVE, linewidth=0)
    means = samples.groupby("Metadata_Dose")[readout].mean()
    if not _draw_fit(axes, fits, compound, readout, own["Metadata_Dose"]):
        axes.plot(means.index, means, color=SAMPLE, linewidth=1.3)
    if len(own):
        axes.set_xscale("log")
    unit = next((str(u) for u in own["Metadata_Unit"] if u), "")
    axes.set_xlabel(short(f"dose ({unit})" if unit else "dose"), parse_math=False)
    axes.set_title(short(compound), fontsize=10, parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_fit(axes: Axes, fits: pd.DataFrame | None, compound: str, readout: str, doses: pd.Series) -> bool:
    """Draw the compound's fitted curve over its doses; whether there is one."""
    if fits is None or fits.empty or not len(doses):
        return False
    own = fits[(fits["Compound"] == compound) & (fits["Readout"] == readout) & fits["EC50"].notna()]
    if own.empty:
        return False
    fit = own.iloc[0]
    dose = np.geomspace(float(doses.min()) / 1.5, float(doses.max()) * 1.5, 100)
    exponent = np.clip(fit["Hill"] * np.log(fit["EC50"] / dose), -300, 300)
    axes.plot(dose, fit["Bottom"] + (fit["Top"] - fit["Bottom"]) / (1 + np.exp(exponent)), color=SAMPLE, linewidth=1.5)
    axes.axvline(fit["EC50"], color=SAMPLE, linewidth=0.9, linestyle="--")
    return True


def dose_curves(
    wells: pd.DataFrame, readout: str, *, limit: int = _MAX_PANELS, fits: pd.DataFrame | None = None
) -> Figure:
    """Figure with ``draw_dose_curve`` of each dosed compound, of the first ``limit`` where there are more."""
    compounds = dosed_compounds(wells)
    if not compounds:
        return _empty("No compound has two or more doses on this plate.")
    shown = compounds[:limit]
    columns = min(len(shown), 3)
    rows = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(3.2 * columns + 1, 2.7 * rows + 0.4), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes, compound in zip(grid.flat, shown, strict=False):
        draw_dose_curve(axes, wells, compound, readout, fits)
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel(short(readout, 40), fontsize=8, parse_math=False)
    name_bands(grid.flat[0])
    if len(shown) < len(compounds):
        figure.suptitle(f"first {len(shown)} of {len(compounds)} compounds", fontsize=9)
    return figure


def name_bands(axes: Axes) -> None:
    """Add the legend of the control bands, where there are any."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7, frameon=False)


def _controls(wells: pd.DataFrame, compound: str, role: str) -> pd.DataFrame:
    controls = wells[wells["Metadata_Role"] == role]
    if "Metadata_Group" not in wells:
        return controls
    groups = wells.loc[wells["Metadata_Compound"] == compound, "Metadata_Group"].dropna()
    grouped = controls[controls["Metadata_Group"].isin(groups.tolist())]
    return grouped if len(grouped) else controls


def _band(axes: Axes, values: pd.Series, colour: str, label: str) -> None:
    finite = values[np.isfinite(values.to_numpy(dtype=np.float64))]
    if not len(finite):
        return
    mean, sd = float(finite.mean()), float(finite.std(ddof=1)) if len(finite) > 1 else 0.0
    axes.axhspan(mean - sd, mean + sd, color=colour, alpha=0.25, linewidth=0)
    axes.axhline(mean, color=colour, linewidth=1, label=f"{label} (n = {len(finite)})")


def _empty(sentence: str) -> Figure:
    figure = Figure(figsize=(6, 1.2), layout="constrained")
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.text(0.5, 0.5, sentence, ha="center", va="center")
    return figure
