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
from hcs.field.worker import load_segmenter
from hcs.machine import cores
from hcs.measure.fill import find_fill, without_fill
from hcs.run.diameter import image_diameter
from hcs.segment.diameter import Diameter
from hcs.segment.predict import tune_cpu
from hcs.segment.segmenter import Segmenter
from hcs.store.files.images import SUFFIXES, labels_image, read_plane
from hcs.store.microscopes.folder import instead_of_images
from hcs.store.models import find_model
from hcs.store.ownfiles import OwnFiles


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
    overwrite: bool = False,
    say: Callable[[str], None] = print,
) -> FolderSummary:
    """Find nuclei in every PNG and TIFF of ``images``; write label images of the same names to ``labels``.

    ``method`` names one of `hcs.segment.baselines.classical`, instead of a model. Every image is a plate of its own:
    the size of its nuclei is estimated in it, unless ``config`` gives one. An image that cannot be read fails alone.
    ConfigError where there are no images, the two folders are the same, or, unless ``overwrite``, label images are
    there that hcs did not write or that were changed since.
    """
    if not images.is_dir():
        raise ConfigError(f"{images} is not a folder; give a folder of {', '.join(SUFFIXES)} images")
    paths = sorted(
        p for p in images.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".") and p.is_file()
    )
    if not paths:
        instead = instead_of_images(images.iterdir())
        raise ConfigError(
            f"{images} holds no {', '.join(SUFFIXES)} image{instead}; give a folder of single-channel images"
        )
    if labels.resolve() == images.resolve():
        raise ConfigError(f"{labels} is the image folder itself; give another folder for the labels")
    if config.illumination not in ("auto", "none"):
        raise ConfigError(
            f"illumination: {config.illumination} is for plates; single images are taken as they are, say none"
        )
    own = OwnFiles(labels)
    if not overwrite:
        own.check([path.name for path in paths], way_out="give another folder, or --overwrite-labels to lose them")
    tune_cpu(cores())
    find = _finder(config, device, method)
    summary = FolderSummary({}, {})
    for i, path in enumerate(paths, start=1):
        try:
            plane = read_plane(path)
            found, size = find(plane.pixels)
            own.put(path.name, labels_image(path.name, found))
        except FieldError as error:
            summary.failed[path.name] = error.reason
            say(f"{i}/{len(paths)} {path.name}: failed: {error.reason}")
        else:
            summary.nuclei[path.name] = int(found.max(initial=0))
            said = "".join(f"; the file {remark}" for remark in plane.remarks)
            say(f"{i}/{len(paths)} {path.name}: {summary.nuclei[path.name]} nuclei{size}{said}")
    return summary


def _finder(
    config: Config, device: str, method: str | None
) -> Callable[[NDArray[Any]], tuple[NDArray[np.uint32], str]]:
    """What turns an image (Y, X) into labels and words on the size of nuclei; ConfigError for an unknown method."""
    if method is None:
        model = find_model(config.model, device, arithmetic=config.arithmetic)
        segmenter = load_segmenter(model, device, flips=config.flips)
        return lambda image: _sized(image, segmenter, config)
    # scikit-image's filters take half a second to import, which a model need not spend.
    from hcs.segment.baselines.classical import METHODS  # noqa: PLC0415

    if method not in METHODS:
        raise ConfigError(f"method {method!r} does not exist; there are {', '.join(METHODS)}, or give a model")
    return lambda image: (METHODS[method](image), "")


def _sized(image: NDArray[Any], segmenter: Segmenter, config: Config) -> tuple[NDArray[np.uint32], str]:
    """Labels of one image, and the size of nuclei that was taken, for a line."""
    labels, size = _segmented(image, segmenter, config)
    if np.isnan(size.px):
        return labels, f", no size of nuclei: {size.reason}" if size.reason else ""
    how = "given" if config.diameter_px != "auto" else f"estimated from {size.nuclei}"
    return labels, f", diameter {size.px:.0f} px ({how}), seen {float(size.scale):.2g} times as large"


def segment_image(image: NDArray[Any], segmenter: Segmenter, config: Config) -> NDArray[np.uint32]:
    """Nucleus labels (Y, X) of one image of any real dtype, at the scale of the nuclei in it.

    FieldError where the image holds one value alone: nothing was recorded.
    """
    return _segmented(image, segmenter, config)[0]


def _segmented(image: NDArray[Any], segmenter: Segmenter, config: Config) -> tuple[NDArray[np.uint32], Diameter]:
    fill = find_fill(image[None])
    missing = None if fill is None else fill.mask
    if fill is not None and fill.blank:
        raise FieldError("image", f"not recorded: every pixel is {image.flat[0]}")
    field = segmenter.prepare(image, missing)
    size = image_diameter(field, segmenter, config, missing)
    labels = segmenter.labels_of(field, config.tiles, config.instances.for_field(None, size.scale), size.scale)
    return without_fill(labels, fill), size
