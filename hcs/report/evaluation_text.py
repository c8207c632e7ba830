"""The scores of an evaluation as text: which come first, how they are written, and the table printed at the end."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass

import pandas as pd

from hcs.evaluate.columns import Metric, metrics
from hcs.evaluate.evaluation import Evaluation
from hcs.evaluate.scores import Average
from hcs.report.style import number, short

_WIDTH = 100
_LABEL_WIDTH = 46
_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the tables: a score as ``scores.csv`` has it."""

    metric: str
    average: Average
    threshold: float


_HEADLINES = (
    Line("MeanF1", "per image", _NAN),
    *(Line("F1", "per image", t) for t in (0.5, 0.7, 0.9)),
    Line("MeanF1", "pooled", _NAN),
    *(Line(name, "pooled", 0.5) for name in ("F1", "Precision", "Recall", "AP")),
    Line("MeanAP", "per image", _NAN),
    *(Line(name, "pooled", 0.5) for name in ("MatchedIoU", "PanopticQuality", "Hausdorff", "Hausdorff95")),
    *(Line(f"Pixel{name}", "pooled", _NAN) for name in ("Dice", "Jaccard", "Sensitivity", "Specificity")),
)


def headlines(evaluation: Evaluation) -> tuple[Line, ...]:
    """The scores that are shown, in order; the errors are those with the evaluation's own thresholds."""
    first = evaluation.scores[evaluation.scores["Prediction"] == evaluation.predictions[0]]
    shown = {line.metric for line in _HEADLINES}
    errors = [
        Line(str(row["Metric"]), "pooled", float(row["Threshold"]))
        for row in first[~first["Metric"].isin(shown)].to_dict("records")
        if row["Average"] == "pooled"
    ]
    return (*_HEADLINES, *errors)


def rows_of(table: pd.DataFrame, line: Line) -> pd.DataFrame:
    """The rows of a scores or differences table that a line shows, one a prediction or pair."""
    threshold = table["Threshold"].isna() if math.isnan(line.threshold) else table["Threshold"] == line.threshold
    return table[(table["Metric"] == line.metric) & (table["Average"] == line.average) & threshold]


def title(line: Line, metric: Metric) -> str:
    """The line's name with its threshold and the way it is averaged."""
    at = "" if math.isnan(line.threshold) else f" at IoU {line.threshold:g}"
    return f"{metric.title}{at}, {line.average}"


def amount(metric: Metric, value: float, low: float, high: float, *, sign: bool = False) -> str:
    """The score with its interval in brackets, rates in percent; an en dash where it is NaN."""
    if not math.isfinite(value):
        return "–"
    pattern = f"{{:{'+' if sign else ''}.{1 if metric.percent else 3}{'%' if metric.percent else 'f'}}}"
    text = pattern.format(value)
    return f"{text} ({pattern.format(low)} to {pattern.format(high)})" if math.isfinite(low) else text


def cell(evaluation: Evaluation, line: Line, prediction: str, metric: Metric) -> str:
    """One prediction's score with its interval, as text."""
    rows = rows_of(evaluation.scores, line)
    row = rows[rows["Prediction"] == prediction].to_dict("records")[0]
    return amount(metric, row["Value"], row["Low"], row["High"])


def console_scores(evaluation: Evaluation, *, beside: int = 2) -> str:
    """Plain text: a line a score, ``beside`` predictions next to each other; differences; errors by size class and
    place; scores by value; tests of distributions."""
    counts = evaluation.errors[evaluation.errors["Grouping"] == "all"]
    blocks = [
        f"{len(evaluation.images)} images, {int(counts['True'].iloc[0]):,} true nuclei; "
        f"in brackets {evaluation.settings.confidence:.0%} intervals over images"
    ]
    names = evaluation.predictions
    for start in range(0, len(names), beside):
        blocks += ["\n".join(_block(evaluation, names[start : start + beside]))]
    parts = (_differences(evaluation), _by_class(evaluation), _by_value(evaluation), _tests(evaluation))
    return "\n\n".join([*blocks, *("\n".join(lines) for lines in parts if lines)])


def _block(evaluation: Evaluation, names: tuple[str, ...]) -> list[str]:
    known = metrics(evaluation)
    lines = [" " * _LABEL_WIDTH + "".join(f"{short(name, 26):>27}" for name in names)]
    for line in headlines(evaluation):
        metric = known[line.metric]
        cells = [cell(evaluation, line, name, metric) for name in names]
        lines.append(f"{title(line, metric):<{_LABEL_WIDTH}}" + "".join(f"{text:>27}" for text in cells))
    return lines


def _differences(evaluation: Evaluation) -> list[str]:
    """The first score and the errors, of each two predictions; all others are in the tables."""
    if evaluation.differences.empty:
        return []
    known = metrics(evaluation)
    lines = ["Paired differences; * where the interval is without 0"]
    for line in headlines(evaluation):
        if line != _HEADLINES[0] and line.metric not in ("ErrorRate", "MergeRate", "SplitRate"):
            continue
        metric = known[line.metric]
        for row in rows_of(evaluation.differences, line).to_dict("records"):
            value = amount(metric, row["Value"], row["Low"], row["High"], sign=True)
            pair = f"{short(row['Prediction'], 20)} - {short(row['Against'], 20)}"
            lines.append(f"{title(line, metric):<{_LABEL_WIDTH}}{pair:<24}{value:>27}{' *' if row['Apart'] else ''}")
    return lines


def _by_value(evaluation: Evaluation) -> list[str]:
    """Recall and precision by value at the two thresholds that the figures show."""
    if evaluation.value is None:
        return []
    lines = [f"By {evaluation.value}", f"{'':<34}{'IoU':>6}{'true':>8}{'recall':>9}{'predicted':>11}{'precision':>11}"]
    for row in evaluation.strata[evaluation.strata["Threshold"].isin([0.5, 0.7])].to_dict("records"):
        name = f"{short(row['Prediction'], 24)} {row['Level']}"
        lines.append(
            f"{name:<34}{row['Threshold']:>6g}{row['True']:>8,}{_percent(row['Recall']):>9}"
            f"{row['Predicted']:>11,}{_percent(row['Precision']):>11}"
        )
    return lines


def _by_class(evaluation: Evaluation) -> list[str]:
    sizes = ", ".join(number(bound) for bound in evaluation.size_bounds)
    error = evaluation.settings.error_iou
    lines = [
        *textwrap.wrap(
            f"Errors by size (parted at {sizes} px) and place; wrong: no partner above IoU {error:g}", _WIDTH
        ),
        f"{'':<26}{'true':>8}{'wrong':>8}{'missed':>8}{'merged':>8}{'split':>8}{'predicted':>11}{'wrong':>8}{'extra':>8}",
    ]
    for row in evaluation.errors.to_dict("records"):
        name = f"{short(row['Prediction'], 16)} {row['Class']}"
        lines.append(
            f"{name:<26}{row['True']:>8,}{_percent(row['FalseNegativeRate']):>8}{row['Missed']:>8,}{row['Merged']:>8,}"
            f"{row['Splits']:>8,}{row['Predicted']:>11,}{_percent(row['FalsePositiveRate']):>8}{row['Extra']:>8,}"
        )
    return lines


def _tests(evaluation: Evaluation) -> list[str]:
    return [
        line
        for row in evaluation.distributions.to_dict("records")
        for line in textwrap.wrap(
            f"{short(row['Prediction'], 30)}: {row['Feature']} median {number(row['MedianTrue'])} with true, "
            f"{number(row['MedianPredicted'])} with predicted labels; "
            f"Kolmogorov–Smirnov D {number(row['KSStatistic'])}, p {number(row['PValue'], 2)}",
            _WIDTH,
            subsequent_indent="  ",
        )
    ]


def _percent(value: float) -> str:
    return f"{value:.1%}" if math.isfinite(value) else "–"
