"""Which files `hcs evaluate` compares: folders of images that go together by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from hcs.errors import ConfigError, FieldError
from hcs.store.images import SUFFIXES, read_image, read_label_image

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
