"""One self-contained HTML page of an evaluation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from html import escape

from matplotlib.figure import Figure

from hcs.evaluate.columns import metrics
from hcs.evaluate.evaluation import Evaluation
from hcs.report.evaluation_figures import distribution_figure, error_figure, strata_figure, threshold_figure
from hcs.report.evaluation_text import amount, cell, headlines, rows_of, title
from hcs.report.figures import picture
from hcs.report.page import CSS, bullets, provenance_table, table
from hcs.report.style import number

_CAPTIONS = {
    "f1": "F1 per image, averaged over images, against the IoU threshold; bands are Student's intervals over images",
    "errors": "Named errors, and nuclei without a partner by size class and place",
    "strata": "Recall by the true and precision by the predicted nucleus's value, at IoU 0.5 (line) and 0.7 (dashed)",
    "distributions": "Cumulative distributions measured with true and with predicted labels",
}


def evaluation_figures(evaluation: Evaluation) -> dict[str, Figure]:
    """All figures but the galleries, by the name of their file."""
    figures = {"f1": threshold_figure(evaluation), "errors": error_figure(evaluation)}
    if evaluation.value is not None:
        figures["strata"] = strata_figure(evaluation)
    return figures | {"distributions": distribution_figure(evaluation)}


def render_evaluation(
    evaluation: Evaluation,
    *,
    figures: Mapping[str, Figure],
    galleries: Mapping[str, Figure],
    notes: tuple[str, ...],
    provenance: Mapping[str, object],
) -> str:
    """The evaluation as one HTML page without links to anything outside it.

    ``figures`` are those of ``evaluation_figures``; ``galleries`` the worst fields by prediction. Every text that a
    user can set is escaped.
    """
    sections = (
        ("Summary", bullets(_summary(evaluation), css="lead")),
        ("Scores", _picture(figures, "f1") + _scores(evaluation)),
        ("Paired differences", _differences(evaluation)),
        ("Errors", _picture(figures, "errors") + _errors(evaluation)),
        (f"By {evaluation.value}", _picture(figures, "strata") + _strata(evaluation) if evaluation.value else ""),
        ("Distributions", _picture(figures, "distributions") + _distributions(evaluation)),
        ("Worst fields", _galleries(galleries)),
        ("Notes", bullets(notes)),
        ("Definitions", _definitions(evaluation)),
        ("How this was made", provenance_table(provenance)),
    )
    body = "\n".join(f"<section><h2>{escape(name)}</h2>{text}</section>" for name, text in sections if text)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Evaluation of labels</title><style>{CSS}</style></head>\n"
        f"<body><h1>Evaluation of labels</h1>\n{body}\n</body></html>\n"
    )


def _summary(evaluation: Evaluation) -> Iterator[str]:
    known = metrics(evaluation)
    whole = evaluation.errors[evaluation.errors["Grouping"] == "all"].to_dict("records")
    yield f"{len(evaluation.images)} images with {int(whole[0]['True']):,} true nuclei."
    lines = headlines(evaluation)
    chosen = [line for line in lines if line.metric == "MeanF1" and line.average == "per image"]
    chosen += [line for line in lines if line.metric in ("ErrorRate", "MergeRate", "SplitRate", "CountBias")]
    for row in whole:
        name = str(row["Prediction"])
        parts = [f"{known[line.metric].title} {cell(evaluation, line, name, known[line.metric])}" for line in chosen]
        yield f"{name}: {int(row['Predicted']):,} nuclei; " + "; ".join(parts)


def _scores(evaluation: Evaluation) -> str:
    known = metrics(evaluation)
    rows = []
    for line in headlines(evaluation):
        metric = known[line.metric]
        rows.append([title(line, metric), *(cell(evaluation, line, name, metric) for name in evaluation.predictions)])
    share = f"{evaluation.settings.confidence:.0%}"
    return table(["Score", *evaluation.predictions], rows) + (
        f"<p>In brackets the {share} interval over images (Student's t by the jackknife); of few images "
        "whose scores are far from Gaussian it is a guess. "
        "All thresholds are in scores.csv, single images in images.csv.</p>"
    )


def _differences(evaluation: Evaluation) -> str:
    if evaluation.differences.empty:
        return ""
    known = metrics(evaluation)
    rows = []
    for line in headlines(evaluation):
        metric = known[line.metric]
        for row in rows_of(evaluation.differences, line).to_dict("records"):
            value = amount(metric, row["Value"], row["Low"], row["High"], sign=True)
            rows.append(
                [title(line, metric), row["Prediction"], row["Against"], value, "yes" if row["Apart"] else "no"]
            )
    heads = ["Score", "Prediction", "Less", "Difference", "Interval without 0"]
    return table(heads, rows) + "<p>Intervals leave out the same image of both.</p>"


def _errors(evaluation: Evaluation) -> str:
    error = evaluation.settings.error_iou
    rows = [
        [
            *(row[name] for name in ("Prediction", "Class", "True", "Missed", "Merged", "Splits", "MisshapenTrue")),
            _rate(row["FalseNegativeRate"]),
            *(row[name] for name in ("Predicted", "Extra", "Merges", "SplitParts", "MisshapenPredicted")),
            _rate(row["FalsePositiveRate"]),
        ]
        for row in evaluation.errors.to_dict("records")
    ]
    heads = ["Prediction", "Class", "True", "missed", "merged", "split", "misshapen", f"wrong at {error:g}"]
    heads += ["Predicted", "extra", "merges", "split parts", "misshapen", f"wrong at {error:g}"]
    sizes = ", ".join(number(bound) for bound in evaluation.size_bounds)
    return (
        table(heads, rows) + f"<p>Tiny, small, normal and large nuclei are parted at areas of {escape(sizes)} px.</p>"
    )


def _strata(evaluation: Evaluation) -> str:
    chosen = evaluation.strata[evaluation.strata["Threshold"].isin([0.5, 0.7])]
    rows = [
        [
            row["Prediction"],
            row["Level"],
            f"{number(row['From'])} to {number(row['To'])}",
            f"{row['Threshold']:g}",
            row["True"],
            _rate(row["Recall"]),
            row["Predicted"],
            _rate(row["Precision"]),
        ]
        for row in chosen.to_dict("records")
    ]
    return table(["Prediction", "Level", "Values", "IoU", "True", "Recall", "Predicted", "Precision"], rows)


def _distributions(evaluation: Evaluation) -> str:
    rows = [
        [
            *(row[name] for name in ("Prediction", "Feature", "True", "Predicted")),
            *(number(row[name]) for name in ("MedianTrue", "MedianPredicted", "KSStatistic", "PValue")),
        ]
        for row in evaluation.distributions.to_dict("records")
    ]
    heads = ["Prediction", "Feature", "n true", "n predicted", "Median, true", "Median, predicted", "KS D", "KS p"]
    return table(heads, rows) + "<p>p takes nuclei as independent, which those of one image are not quite.</p>"


def _galleries(galleries: Mapping[str, Figure]) -> str:
    return "".join(
        picture(figure, f"{name}: the fields of lowest mean F1, outlines in the colour of their outcome")
        for name, figure in galleries.items()
    )


def _definitions(evaluation: Evaluation) -> str:
    rows = [[m.title, m.definition, {"zero": "0"}.get(m.best, m.best), m.source] for m in metrics(evaluation).values()]
    return table(["Score", "Definition", "Best", "Source"], rows)


def _picture(figures: Mapping[str, Figure], name: str) -> str:
    return picture(figures[name], _CAPTIONS[name])


def _rate(value: float) -> str:
    return f"{value:.1%}" if math.isfinite(value) else "–"
