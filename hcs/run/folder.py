"""`hcs segment`: a folder of single images → a folder of label images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.config import Config
from hcs.errors import ConfigError, FieldError
from hcs.run.cluster import cores
from hcs.run.diameter import image_diameter, load_segmenter
from hcs.segment.diameter import Diameter
from hcs.segment.predict import tune_cpu
from hcs.segment.segmenter import Segmenter
from hcs.store.images import SUFFIXES, read_image, write_labels_image
from hcs.store.models import find_model


@dataclass(frozen=True, slots=True)
class FolderSummary:
    """What became of a folder: nuclei by file name, and the reason by name for files that failed."""

    nuclei: dict[str, int]
    failed: dict[str, str]


def segment_folder(
    images: Path,
    labels: Path,
    config: Config,
    *,
    device: str = "cpu",
    method: str | None = None,
    say: Callable[[str], None] = print,
) -> FolderSummary:
    """Find nuclei in every PNG and TIFF of ``images``; write label images of the same names to ``labels``.

    ``method`` names one of `hcs.segment.classical`, instead of a model. Every image is a plate of its own: the size of
    its nuclei is estimated in it, unless ``config`` gives one. An image that cannot be read fails alone. ConfigError
    where there are no images or the two folders are the same.
    """
    if not images.is_dir():
        raise ConfigError(f"{images} is not a folder; give a folder of {', '.join(SUFFIXES)} images")
    paths = sorted(p for p in images.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    if not paths:
        raise ConfigError(f"{images} holds no {', '.join(SUFFIXES)} image; give a folder of single-channel images")
    if labels.resolve() == images.resolve():
        raise ConfigError(f"{labels} is the image folder itself; give another folder for the labels")
    if config.illumination != "none":
        raise ConfigError(
            f"illumination: {config.illumination} is for plates; single images are taken as they are, say none"
        )
    tune_cpu(cores())
    find = _finder(config, device, method)
    labels.mkdir(parents=True, exist_ok=True)
    summary = FolderSummary({}, {})
    for i, path in enumerate(paths, start=1):
        try:
            found, size = find(read_image(path))
            write_labels_image(labels / path.name, found)
        except FieldError as error:
            summary.failed[path.name] = error.reason
            say(f"{i}/{len(paths)} {path.name}: failed: {error.reason}")
        else:
            summary.nuclei[path.name] = int(found.max(initial=0))
            say(f"{i}/{len(paths)} {path.name}: {summary.nuclei[path.name]} nuclei{size}")
    return summary


def _finder(
    config: Config, device: str, method: str | None
) -> Callable[[NDArray[Any]], tuple[NDArray[np.uint32], str]]:
    """What turns an image (Y, X) into labels, and says which size of nuclei was taken; ConfigError for a method that
    there is not."""
    if method is None:
        segmenter = load_segmenter(find_model(config.model, device), device, flips=config.flips)
        return lambda image: _found(*segment_sized(image, segmenter, config))
    # scikit-image's filters take half a second to import, which a model need not spend.
    from hcs.segment.classical import METHODS  # noqa: PLC0415

    if method not in METHODS:
        raise ConfigError(f"method {method!r} does not exist; there are {', '.join(METHODS)}, or give a model")
    labels = METHODS[method]
    return lambda image: (labels(image), "")


def _found(labels: NDArray[np.uint32], size: Diameter) -> tuple[NDArray[np.uint32], str]:
    """Labels, and the size taken as the end of a line."""
    if np.isnan(size.px):
        return labels, f", seen at their own scale: {size.reason}"
    return labels, f", {size.px:.0f} px across{'' if size.nuclei else ' as given'}, seen at {size.scale} of their size"


def segment_image(image: NDArray[Any], segmenter: Segmenter, config: Config) -> NDArray[np.uint32]:
    """Nucleus labels (Y, X) of one image of any real dtype, at the scale of the nuclei in it."""
    return segment_sized(image, segmenter, config)[0]


def segment_sized(image: NDArray[Any], segmenter: Segmenter, config: Config) -> tuple[NDArray[np.uint32], Diameter]:
    """What `segment_image` gives, and the size of nuclei that it took."""
    field = segmenter.prepare(image)
    size = image_diameter(field, segmenter, config)
    probabilities = segmenter.probabilities(field, config.tiles, size.scale)
    return segmenter.labels(probabilities, config.instances.for_field(None, size.scale)), size
