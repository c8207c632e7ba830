"""Figures of an evaluation: F1 by threshold, errors by class, scores by value, distributions, the worst fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from hcs.evaluate.evaluation import Evaluation
from hcs.evaluate.groups import LEVELS, SIZES
from hcs.evaluate.outlines import outline
from hcs.report.style import short

# Okabe & Ito's palette, as in hcs.report.style
_SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333")
OUTCOME_COLOURS = {
    "found": "#009E73",
    "misshapen": "#E69F00",
    "merged": "#56B4E9",
    "split": "#F0E442",
    "missed": "#D55E00",
    "extra": "#CC79A7",
}
_TRUE_LINE = "#FFFFFF"


@dataclass(frozen=True, slots=True)
class GalleryField:
    """One field of the gallery: labels as they were scored, and their outcomes."""

    title: str
    image: NDArray[np.generic] | None
    """(Y, X) intensities, or None for outlines on black."""
    truth: NDArray[np.integer]
    predicted: NDArray[np.integer]
    objects: pd.DataFrame
    """Rows of the evaluation's nuclei of this field and prediction."""


def threshold_figure(evaluation: Evaluation) -> Figure:
    """F1 per image against the IoU threshold, a line a prediction, with its interval as a band."""
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.add_subplot()
    scores = evaluation.scores
    chosen = scores[(scores["Metric"] == "F1") & (scores["Average"] == "per image")]
    for name, colour in _series(evaluation):
        rows = chosen[chosen["Prediction"] == name]
        axes.plot(rows["Threshold"], rows["Value"], "o-", color=colour, markersize=3.5, label=short(name))
        axes.fill_between(rows["Threshold"], rows["Low"], rows["High"], color=colour, alpha=0.18, linewidth=0)
    axes.set(xlabel="IoU threshold", ylabel="F1, mean over images", ylim=(0, 1.02))
    _finish(axes)
    return figure


def error_figure(evaluation: Evaluation) -> Figure:
    """Named errors as shares of the true nuclei, and the share of wrong nuclei by size class and place."""
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.3, 1.2, 1.2))
    errors = evaluation.errors
    names = ("Missed", "Merges", "Splits", "MisshapenTrue", "Extra")
    whole = errors[errors["Grouping"] == "all"].set_index("Prediction")
    shares = whole[list(names)].div(whole["True"].where(whole["True"] > 0), axis=0)
    _bars(left, evaluation, shares, ("missed", "merges", "splits", "misshapen", "extra"))
    left.set(ylabel="errors per true nucleus", title="named errors")
    classes = (*SIZES, "interior", "border")
    for axes, column, title in (
        (middle, "FalseNegativeRate", "true nuclei not found"),
        (right, "FalsePositiveRate", "predicted nuclei that are wrong"),
    ):
        rates = errors[errors["Grouping"] != "all"].pivot(index="Prediction", columns="Class", values=column)
        _bars(axes, evaluation, rates[list(classes)], classes)
        axes.set(ylabel=f"share, IoU ≤ {evaluation.settings.error_iou:g}", title=title)
    _finish(left)
    return figure


def strata_figure(evaluation: Evaluation) -> Figure:
    """Recall by the true, precision by the predicted nucleus's value, at IoU 0.5 and 0.7; needs a value."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, column, side in zip(figure.subplots(1, 2), ("Recall", "Precision"), ("true", "predicted"), strict=True):
        for name, colour in _series(evaluation):
            own = evaluation.strata[evaluation.strata["Prediction"] == name]
            for threshold, line in ((0.5, "-"), (0.7, "--")):
                rows = own[own["Threshold"] == threshold].set_index("Level").loc[list(LEVELS)]
                label = f"{short(name)}, IoU {threshold:g}"
                axes.plot(LEVELS, rows[column], "o", linestyle=line, color=colour, markersize=4, label=label)
        axes.set(xlabel=f"{short(evaluation.value, 40)}\nof the {side} nucleus", ylabel=column.lower(), ylim=(0, 1.02))
        _finish(axes)
    return figure


def distribution_figure(evaluation: Evaluation) -> Figure:
    """Cumulative distributions of each tested feature, measured with true (grey) and with predicted labels."""
    columns = {"Nuclei_AreaShape_Area": "Area"} | ({evaluation.value: "Value"} if evaluation.value else {})
    figure = Figure(figsize=(4.6 * len(columns), 3.6), layout="constrained")
    objects = evaluation.objects
    for axes, (name, column) in zip(np.atleast_1d(figure.subplots(1, len(columns))), columns.items(), strict=True):
        first = objects[objects["Prediction"] == evaluation.predictions[0]]
        _step(axes, first.loc[first["Side"] == "true", column], "#999999", "truth", width=3.5)
        for prediction, colour in _series(evaluation):
            own = objects[(objects["Prediction"] == prediction) & (objects["Side"] == "predicted")]
            _step(axes, own[column], colour, short(prediction), width=1.2)
        axes.set(xlabel=short(name, 48), ylabel="share of nuclei", ylim=(0, 1.02))
        _finish(axes)
    return figure


def gallery_figure(fields: Sequence[GalleryField]) -> Figure:
    """Fields with outlines: predicted nuclei, and missed true ones, in their outcome's colour; other true nuclei that
    are not found in white."""
    columns = min(2, len(fields))
    rows = -(-len(fields) // columns)
    figure = Figure(figsize=(5.4 * columns, 4.4 * rows + 0.5), layout="constrained")
    for place, field in enumerate(fields, start=1):
        axes = figure.add_subplot(rows, columns, place)
        axes.imshow(_painted(field), interpolation="nearest")
        axes.set_axis_off()
        axes.set_title(field.title, fontsize=9, parse_math=False)
    handles = [Line2D([], [], color=colour, linewidth=3, label=name) for name, colour in OUTCOME_COLOURS.items()]
    handles.append(Line2D([], [], color="#CCCCCC", linewidth=3, label="truth of an error (white)"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8, frameon=False)
    return figure


def _painted(field: GalleryField) -> NDArray[np.float64]:
    """The field as RGB (Y, X, 3) in 0 to 1."""
    grey = np.zeros(field.truth.shape) if field.image is None else _grey(field.image)
    picture = np.repeat(grey[..., None], 3, axis=2)
    true = field.objects[(field.objects["Side"] == "true") & (field.objects["Outcome"] != "found")]
    predicted = field.objects[field.objects["Side"] == "predicted"]
    missed = true["Outcome"] == "missed"
    _draw(picture, field.truth, dict.fromkeys(true.loc[~missed, "Label"], _TRUE_LINE))
    colours = predicted["Outcome"].map(OUTCOME_COLOURS)
    _draw(picture, field.predicted, dict(zip(predicted["Label"], colours, strict=True)))
    _draw(picture, field.truth, dict.fromkeys(true.loc[missed, "Label"], OUTCOME_COLOURS["missed"]))
    return picture


def _grey(image: NDArray[np.generic]) -> NDArray[np.float64]:
    """Intensities from 0, at the 1st, to 1, at the 99.8th percentile."""
    values = np.nan_to_num(image.astype(np.float64))
    low, high = np.percentile(values, [1, 99.8])
    return np.clip((values - low) / (high - low), 0, 1) if high > low else np.zeros(values.shape)


def _draw(picture: NDArray[np.float64], labels: NDArray[np.integer], colours: dict[int, str]) -> None:
    """Draw the outlines of those labels that have a colour."""
    y, x = np.nonzero(outline(labels))
    edge = labels[y, x]
    for colour in set(colours.values()):
        chosen = np.isin(edge, [label for label, own in colours.items() if own == colour])
        picture[y[chosen], x[chosen]] = to_rgb(colour)


def _series(evaluation: Evaluation) -> list[tuple[str, str]]:
    return [(name, _SERIES[k % len(_SERIES)]) for k, name in enumerate(evaluation.predictions)]


def _bars(axes: Axes, evaluation: Evaluation, values: pd.DataFrame, names: Sequence[str]) -> None:
    """One group a column of ``values``, one bar a prediction."""
    width = 0.8 / len(evaluation.predictions)
    for k, (prediction, colour) in enumerate(_series(evaluation)):
        at = np.arange(len(names)) + (k + 0.5) * width - 0.4
        axes.bar(at, values.loc[prediction].fillna(0), width, color=colour, label=short(prediction))
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _step(axes: Axes, values: pd.Series, colour: str, label: str, *, width: float) -> None:
    finite = np.sort(values.to_numpy(float)[np.isfinite(values.to_numpy(float))])
    share = np.arange(1, len(finite) + 1) / max(len(finite), 1)
    axes.step(finite, share, where="post", color=colour, linewidth=width, label=label)


def _finish(axes: Axes) -> None:
    legend = axes.legend(fontsize=7, frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)
    axes.spines[["top", "right"]].set_visible(False)
