"""`hcs evaluate`: folders of true and predicted label images → tables, figures and a page."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from hcs import __version__
from hcs.errors import ConfigError, FieldError
from hcs.evaluate.columns import metrics, table_columns
from hcs.evaluate.compare import Comparison, compare
from hcs.evaluate.evaluation import Evaluation, evaluate
from hcs.evaluate.settings import EvaluateSettings
from hcs.evaluate.values import Value, find_value
from hcs.report.evaluation import evaluation_figures, render_evaluation
from hcs.report.evaluation_figures import GalleryField, gallery_figure
from hcs.report.figures import save_figure
from hcs.store.atomic import write_json, write_text
from hcs.store.files.images import SUFFIXES, read_image, read_label_image
from hcs.store.ownfiles import check_output, replacing_output
from hcs.store.results.table import write_frame

_MOST_NAMES = 3


@dataclass(frozen=True, slots=True)
class Folders:
    """What is compared, each a folder of 2-D PNG or TIFF images that go together by name without ending."""

    truth: Path
    predictions: tuple[Path, ...]
    ignore: Path | None = None
    """Pixels other than 0 count neither as truth nor as error; an image without a file has none."""
    images: Path | None = None
    """Intensities, for values of the nuclei and for the gallery."""


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """The files of one truth image; the predicted ones by prediction."""

    truth: Path
    predicted: dict[str, Path]
    ignore: Path | None
    image: Path | None


def find_files(folders: Folders, out: Path) -> tuple[dict[str, ImageFiles], list[str]]:
    """The files of every truth image by its name without ending, and notes on what is left out."""
    for folder in (folders.truth, *folders.predictions, folders.ignore, folders.images):
        if folder is not None and folder.resolve() == out.resolve():
            raise ConfigError(f"--out {out} is one of the folders that are read; give another folder")
    truth = _index(folders.truth)
    names = _prediction_names(folders.predictions)
    predicted = {name: _index(path) for name, path in zip(names, folders.predictions, strict=True)}
    notes = []
    for name, path in zip(names, folders.predictions, strict=True):
        _require_all(truth, predicted[name], path, "prediction")
        extra = sorted(set(predicted[name]) - set(truth))
        if extra:
            notes.append(f"{len(extra)} image(s) of {path} have no truth and are not scored ({some(extra)})")
    ignore = {} if folders.ignore is None else _index(folders.ignore)
    if folders.ignore is not None and not set(ignore) & set(truth):
        raise ConfigError(f"no file of --ignore {folders.ignore} has the name of a truth image ({some(sorted(truth))})")
    images = {} if folders.images is None else _index(folders.images)
    if folders.images is not None:
        _require_all(truth, images, folders.images, "image")
    return {
        stem: ImageFiles(path, {n: own[stem] for n, own in predicted.items()}, ignore.get(stem), images.get(stem))
        for stem, path in truth.items()
    }, notes


def _index(folder: Path) -> dict[str, Path]:
    """The folder's images by name without ending, sorted; ConfigError without any or with two of a name."""
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder; give a folder of {', '.join(SUFFIXES)} images")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in found:
            raise ConfigError(f"{path} and {found[path.stem].name} have the same name but for the ending; keep one")
        found[path.stem] = path
    if not found:
        raise ConfigError(f"{folder} holds no {', '.join(SUFFIXES)} image; give a folder of label images")
    return found


def _require_all(truth: dict[str, Path], found: dict[str, Path], folder: Path, what: str) -> None:
    missing = [path for stem, path in truth.items() if stem not in found]
    if not missing:
        return
    if len(missing) == len(truth):
        raise ConfigError(
            f"no file of {folder} ({some(sorted(found))}) has the name of a truth image ({some(sorted(truth))}); "
            f"give each {what} the name of its truth"
        )
    rest = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    raise ConfigError(
        f"{folder} has no {what} for truth {missing[0].name}{rest}; add it, an empty one where there are no nuclei"
        if what == "prediction"
        else f"{folder} has no {what} for truth {missing[0].name}{rest}; add it"
    )


def _prediction_names(paths: tuple[Path, ...]) -> tuple[str, ...]:
    """The shortest ends of the folders' paths that differ from one another."""
    parts = [path.resolve().parts for path in paths]
    if len(set(parts)) < len(parts):
        raise ConfigError("the same prediction folder is given twice; give each once")
    for depth in range(1, max(map(len, parts)) + 1):
        names = tuple("/".join(own[-depth:]) for own in parts)
        if len(set(names)) == len(names):
            break
    return names


def some(names: list[str]) -> str:
    """The first few names, for a sentence."""
    return ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")


def read_fitting(
    path: Path, *, labels: bool = True, like: NDArray[Any] | None = None, truth: Path | None = None
) -> NDArray[Any]:
    """Labels or intensities (Y, X); ConfigError where they cannot be read or are not of the shape of their truth."""
    try:
        image = read_label_image(path) if labels else read_image(path)
    except FieldError as error:
        raise ConfigError(error.reason) from error
    if like is not None and image.shape != like.shape:
        raise ConfigError(f"{path} is {image.shape} px but truth {truth} is {like.shape} px; give the same field")
    return image


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
