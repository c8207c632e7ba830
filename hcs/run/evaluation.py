"""`hcs evaluate`: folders of true and predicted label images → tables, figures and a page."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from hcs import __version__
from hcs.errors import ConfigError
from hcs.evaluate.columns import metrics, table_columns
from hcs.evaluate.compare import Comparison, compare
from hcs.evaluate.evaluation import Evaluation, evaluate
from hcs.evaluate.settings import EvaluateSettings
from hcs.evaluate.values import Value, find_value
from hcs.report.evaluation import evaluation_figures, render_evaluation
from hcs.report.evaluation_figures import GalleryField, gallery_figure
from hcs.report.figures import save_figure
from hcs.run.evaluation_files import Folders, ImageFiles, find_files, read_fitting, some
from hcs.store.atomic import write_json, write_text
from hcs.store.ownfiles import check_output, replacing_output
from hcs.store.table import write_frame

_GALLERY = 6


def evaluate_folders(
    folders: Folders,
    out: Path,
    settings: EvaluateSettings,
    *,
    stratify_by: str | None = None,
    say: Callable[[str], None] = print,
) -> tuple[Evaluation, tuple[str, ...]]:
    """Evaluate every prediction of ``folders``; write tables, figures and ``evaluation.html`` to ``out``.

    ``stratify_by`` names a value of the nuclei (``hcs.evaluate.values``); with images it is "mean" by default. Returns
    the evaluation and notes for the user. ConfigError, before anything is written, where a folder or file is missing,
    cannot be read, or does not fit its truth, and where ``out`` holds anything else than an evaluation, whose files
    are replaced.
    """
    started = time.time()
    chosen = stratify_by or ("mean" if folders.images is not None else None)
    value = None if chosen is None else find_value(chosen, with_images=folders.images is not None)
    files, notes = find_files(folders, out)
    check_output(out, what="evaluation")
    masks: list[str] = []
    compared: dict[str, dict[str, Comparison]] = {name: {} for name in next(iter(files.values())).predicted}
    for done, (stem, own) in enumerate(files.items(), start=1):
        for name, comparison in _compare_image(own, value, settings, masks).items():
            compared[name][stem] = comparison
        if done % 25 == 0 or done == len(files):
            say(f"{done}/{len(files)} images compared")
    if masks:
        notes.append(
            f"{len(masks)} image(s) have one label in several pieces, which counts as one nucleus; if they are masks, "
            f"label them first ({some(masks)})"
        )
    evaluation = evaluate(compared, settings, value=value.column if value else None)
    provenance = _provenance(folders, evaluation, seconds=time.time() - started)
    with replacing_output(out) as folder:
        _write(evaluation, files, folder, notes=tuple(notes), provenance=provenance)
    return evaluation, tuple(notes)


def _compare_image(
    files: ImageFiles, value: Value | None, settings: EvaluateSettings, masks: list[str]
) -> dict[str, Comparison]:
    truth = read_fitting(files.truth)
    ignore = None if files.ignore is None else read_fitting(files.ignore, like=truth, truth=files.truth) > 0
    image = (
        None
        if files.image is None or value is None
        else read_fitting(files.image, labels=False, like=truth, truth=files.truth)
    )
    measure = None if value is None else partial(value.measure, image=image)
    masks += [str(files.truth)] if _looks_like_a_mask(truth) else []
    found = {}
    for name, path in files.predicted.items():
        predicted = read_fitting(path, like=truth, truth=files.truth)
        masks += [str(path)] if _looks_like_a_mask(predicted) else []
        try:
            found[name] = compare(truth, predicted, settings=settings, ignore=ignore, measure=measure)
        except ValueError as error:
            raise ConfigError(f"{path} and {files.truth} cannot be compared: {error}") from error
    return found


def _looks_like_a_mask(labels: NDArray[Any]) -> bool:
    """Whether the labels have a single value, in several pieces."""
    inside = labels > 0
    return bool(inside.any() and labels[inside].min() == labels.max() and ndimage.label(inside)[1] > 1)


def _write(
    evaluation: Evaluation,
    files: dict[str, ImageFiles],
    out: Path,
    *,
    notes: tuple[str, ...],
    provenance: dict[str, object],
) -> None:
    """Write all files into the empty folder ``out``."""
    for name, frame in evaluation.tables().items():
        write_frame(out / f"{name}.parquet", frame)
        write_text(out / f"{name}.csv", frame.to_csv(index=False))
    write_text(out / "columns.csv", _dictionary(evaluation).to_csv(index=False))
    figures = evaluation_figures(evaluation)
    galleries = {name: gallery_figure(_worst(evaluation, name, files)) for name in evaluation.predictions}
    for name, figure in figures.items():
        save_figure(figure, out / f"{name}.png")
        save_figure(figure, out / f"{name}.svg")
    for k, figure in enumerate(galleries.values(), start=1):
        save_figure(figure, out / f"worst-{k}.png")
    page = render_evaluation(evaluation, figures=figures, galleries=galleries, notes=notes, provenance=provenance)
    write_json(out / "evaluation.json", provenance)
    write_text(out / "evaluation.html", page)


def _dictionary(evaluation: Evaluation) -> pd.DataFrame:
    """Every column of every table, then every score, as rows."""
    columns = [
        {"Table": table, "Name": c.name, "Unit": c.unit, "Definition": c.definition, "Source": c.source}
        for table, own in table_columns(evaluation).items()
        for c in own
    ]
    scores = [
        {"Table": "scores", "Name": m.name, "Unit": "", "Definition": m.definition, "Source": m.source}
        for m in metrics(evaluation).values()
    ]
    return pd.DataFrame(columns + scores)


def _worst(evaluation: Evaluation, prediction: str, files: dict[str, ImageFiles]) -> list[GalleryField]:
    """The fields of lowest mean F1, read again."""
    own = evaluation.per_image[evaluation.per_image["Prediction"] == prediction]
    fields = []
    for row in own.sort_values(["MeanF1", "Image"]).head(_GALLERY).to_dict("records"):
        stem = str(row["Image"])
        objects = evaluation.objects
        image = files[stem].image
        fields.append(
            GalleryField(
                title=f"{stem[:40]}, mean F1 {row['MeanF1']:.2f}",
                image=None if image is None else read_fitting(image, labels=False),
                truth=read_fitting(files[stem].truth),
                predicted=read_fitting(files[stem].predicted[prediction]),
                objects=objects[(objects["Prediction"] == prediction) & (objects["Image"] == stem)],
            )
        )
    return fields


def _provenance(folders: Folders, evaluation: Evaluation, *, seconds: float) -> dict[str, object]:
    settings = {name: getattr(evaluation.settings, name) for name in evaluation.settings.__slots__}
    return {
        "Truth": str(folders.truth),
        "Predictions": {
            name: str(path) for name, path in zip(evaluation.predictions, folders.predictions, strict=True)
        },
        "Ignored pixels": str(folders.ignore or "none"),
        "Images": str(folders.images or "none"),
        "Value": evaluation.value or "none",
        "Settings": settings,
        "Versions": {"hcs": __version__} | {name: version(name) for name in ("numpy", "scipy", "pandas")},
        "Machine": platform.platform(),
        "Seconds of comparing": round(seconds, 1),
    }
