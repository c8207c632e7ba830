"""What every score means, and every column of an evaluation's tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hcs.columns import Column
from hcs.evaluate.evaluation import Evaluation

_CAICEDO = "Caicedo et al., Cytometry A 95, 952 (2019)"
_DSB = "Caicedo et al., Nat. Methods 16, 1247 (2019); Schmidt et al., MICCAI 2018 (StarDist)"
_PQ = "Kirillov et al., CVPR 2019"
_HAUSDORFF = "Huttenlocher et al., IEEE TPAMI 15, 850 (1993)"
_METRICS_RELOADED = "Maier-Hein, Reinke et al., Nat. Methods 21, 195 (2024)"


@dataclass(frozen=True, slots=True)
class Metric:
    """What a score means."""

    name: str
    title: str
    best: Literal["high", "low", "zero"]
    percent: bool
    definition: str
    source: str = ""


def metrics(evaluation: Evaluation) -> dict[str, Metric]:
    """Every score of the evaluation by its name."""
    error, touch = evaluation.settings.error_iou, evaluation.settings.touch_iou
    known = (*_MATCHED, *_named_errors(error, touch), *_PIXELS)
    return {metric.name: metric for metric in known}


_MATCHED = (
    Metric("MeanF1", "Mean F1, IoU 0.50–0.90", "high", False, "Mean of F1 over IoU 0.50, 0.55 … 0.90", _CAICEDO),
    Metric("MeanAP", "Mean AP, IoU 0.50–0.95", "high", False, "Mean of AP over IoU 0.50, 0.55 … 0.95", _DSB),
    Metric(
        *("F1", "F1", "high", False),
        "2 TP / (true + predicted); TP: pairs with IoU above the threshold; 1 for an image empty on both sides",
        _CAICEDO,
    ),
    Metric("Precision", "Precision", "high", False, "TP / predicted; images without predicted nuclei are left out"),
    Metric("Recall", "Recall", "high", False, "TP / true; images without true nuclei are left out"),
    Metric("AP", "Average precision", "high", False, "TP / (TP + FP + FN); 1 for an image empty on both sides", _DSB),
    Metric("MatchedIoU", "Mean IoU of matches", "high", False, "Mean IoU of the pairs with IoU above 0.5 alone"),
    Metric(
        *("PanopticQuality", "Panoptic quality", "high", False),
        "Sum of IoU of the pairs above 0.5 / (TP + FP/2 + FN/2); 1 for an image empty on both sides",
        _PQ,
    ),
    Metric(
        *("Hausdorff", "Hausdorff distance (px)", "low", False),
        "Mean over pairs with IoU above 0.5 of the largest distance from an outline pixel of either nucleus to the "
        "other's nearest; outline: pixels with another label or the image's edge above, below, left or right",
        _HAUSDORFF,
    ),
    Metric(
        *("Hausdorff95", "Hausdorff, 95th % (px)", "low", False),
        "The same with each direction's 95th percentile of distances in place of its largest; the larger of the two",
        _METRICS_RELOADED,
    ),
)

_PIXELS = (
    Metric("PixelDice", "Pixel Dice", "high", False, "2 TP / (2 TP + FP + FN) of foreground pixels"),
    Metric("PixelJaccard", "Pixel Jaccard", "high", False, "TP / (TP + FP + FN) of foreground pixels"),
    Metric("PixelSensitivity", "Pixel sensitivity", "high", False, "TP / (TP + FN) of foreground pixels"),
    Metric("PixelSpecificity", "Pixel specificity", "high", False, "TN / (TN + FP) of foreground pixels"),
)


def _named_errors(error: float, touch: float) -> tuple[Metric, ...]:
    wrong = f"without a partner above IoU {error:g}"
    return (
        Metric(
            *("ErrorRate", "Error rate", "low", True),
            f"(true + predicted nuclei {wrong}) / (true + predicted): 1 − pooled F1 there",
        ),
        Metric("ErrorRateBorder", "Error rate, border", "low", True, "The same of nuclei at the image's edge"),
        Metric("ErrorRateInterior", "Error rate, interior", "low", True, "The same of all other nuclei"),
        Metric("FalseNegativeRate", "True nuclei not found", "low", True, f"True nuclei {wrong} / true", _CAICEDO),
        Metric("FalsePositiveRate", "Wrong predicted nuclei", "low", True, f"Predicted {wrong} / predicted"),
        Metric(
            "MissedRate", "Missed nuclei", "low", True, f"True nuclei that nothing overlaps, IoU ≤ {touch:g} / true"
        ),
        Metric(
            "ExtraRate", "Extra nuclei", "low", True, f"Predicted that overlap nothing, IoU ≤ {touch:g} / predicted"
        ),
        Metric(
            *("MergeRate", "Merges", "low", True),
            f"Predicted nuclei that overlap two or more true ones, IoU > {touch:g} each / true",
            _CAICEDO,
        ),
        Metric(
            *("SplitRate", "Splits", "low", True),
            f"True nuclei that two or more predicted ones overlap, IoU > {touch:g} each / true",
            _CAICEDO,
        ),
        Metric("CountBias", "Count bias", "zero", True, "(predicted − true) / true"),
    )


def table_columns(evaluation: Evaluation) -> dict[str, tuple[Column, ...]]:
    """Columns of each table that are not scores of their own name, by table; ``images`` adds ``F1_0.50`` and so on."""
    common = {
        "Prediction": _text("Prediction", "Folder of predicted labels"),
        "Against": _text("Against", "Prediction it is compared with: Value is Prediction − Against"),
        "Image": _text("Image", "File name without its ending"),
        "Metric": _text("Metric", "Name of the score"),
        "Average": _text("Average", "per image: mean of the images' scores; pooled: sums over all images, divided"),
        "Threshold": _number("Threshold", "IoU that a pair must exceed; NaN for scores without one or over several"),
        "Apart": Column("Apart", "bool", "", "The interval of the difference does not hold 0", ""),
    }
    known = common | _interval(evaluation.settings.confidence) | {c.name: c for c in _shared(evaluation)}
    return {
        table: tuple(known[name] for name in frame.columns if name in known)
        for table, frame in evaluation.tables().items()
    }


def _interval(confidence: float) -> dict[str, Column]:
    text = f"Student's t over images by the jackknife, {confidence:.0%}; NaN for a single image"
    return {name: _number(name, f"{name.lower()} end of the interval: {text}") for name in ("Low", "High")}


def _shared(evaluation: Evaluation) -> tuple[Column, ...]:
    error, touch = evaluation.settings.error_iou, evaluation.settings.touch_iou
    value = evaluation.value or "none"
    sizes = ", ".join(f"{bound:g}" for bound in evaluation.size_bounds)
    return (
        _text("Grouping", "all nuclei; by size class; by place, the image's border or its interior"),
        _text("Class", "Class of the grouping; a nucleus counts in the class of its own size and place"),
        _text("SizeClass", f"tiny, small, normal, large: parted at areas of {sizes} px"),
        _number("True", "True nuclei", "nuclei"),
        _number("Predicted", "Predicted nuclei", "nuclei"),
        _number("Missed", f"True nuclei that nothing overlaps, IoU ≤ {touch:g}, and that are in no merge", "nuclei"),
        _number("Extra", f"Predicted nuclei that overlap nothing, IoU ≤ {touch:g}, and are no part", "nuclei"),
        _number("Merged", "In a merge (nuclei); true nuclei in one (errors)"),
        _number("Merges", "Predicted nuclei over two or more true ones", "nuclei"),
        _number("Split", "In a split, as the true nucleus or as a part"),
        _number("Splits", "True nuclei under two or more predicted ones", "nuclei"),
        _number("SplitParts", "Predicted nuclei that are parts of a split", "nuclei"),
        _number(
            "MisshapenTrue", f"True nuclei with best IoU above {touch:g} up to {error:g}, unmerged, unsplit", "nuclei"
        ),
        _number("MisshapenPredicted", f"Predicted nuclei with best IoU above {touch:g} up to {error:g}", "nuclei"),
        _number("FalseNegatives", f"True nuclei without a partner above IoU {error:g}", "nuclei"),
        _number("FalseNegativeRate", "FalseNegatives / True"),
        _number("FalsePositives", f"Predicted nuclei without a partner above IoU {error:g}", "nuclei"),
        _number("FalsePositiveRate", "FalsePositives / Predicted"),
        _text("Level", f"low, medium, high of {value}, each nucleus by its own"),
        _number("From", "Least value of the level"),
        _number("To", "Value at which the next level starts"),
        _number("Recall", "Share of the level's true nuclei with a partner above the threshold"),
        _number("Precision", "Share of the level's predicted nuclei with a partner above the threshold"),
        _text("Feature", "Column of the nucleus table, measured with true and with predicted labels"),
        _number("MedianTrue", "Median with true labels"),
        _number("MedianPredicted", "Median with predicted labels"),
        _number("KSStatistic", "Two-sample Kolmogorov–Smirnov statistic: largest difference of the distributions"),
        _number("PValue", "Two-sided p value, nuclei taken as independent"),
        _text("PMethod", "exact or asymptotic"),
        _text("Side", "true or predicted"),
        _number("Label", "Value in the label image"),
        _number("Area", "Scored pixels", "px"),
        _number("TouchesBorder", "A pixel is in the image's first or last row or column"),
        _number("IoU", "Largest IoU with a nucleus of the other side; 0 where none overlaps"),
        _number("Partner", "Label of that nucleus; 0 where none overlaps"),
        _text("Outcome", f"merged, else split, else found (IoU > {error:g}), misshapen (> {touch:g}), missed or extra"),
        _number("Hausdorff", "Hausdorff distance from the partner's outline (nuclei); their sum (images)", "px"),
        _number("Hausdorff95", "95th percentile of the same; their sum (images)", "px"),
        _number("Value", f"The score or difference; in nuclei, {value}"),
    )


def _text(name: str, definition: str) -> Column:
    return Column(name, "string", "", definition, "")


def _number(name: str, definition: str, unit: str = "") -> Column:
    return Column(name, "float64", unit, definition, "")
