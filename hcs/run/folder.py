"""`hcs segment`: a folder of single images → a folder of label images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hcs.config import Config
from hcs.errors import ConfigError, FieldError
from hcs.run.cluster import cores
from hcs.segment.instances import instances
from hcs.segment.model import build_network
from hcs.segment.normalise import normalise
from hcs.segment.predict import find_device, predict, tune_cpu
from hcs.store.images import SUFFIXES, read_image, write_labels_image
from hcs.store.models import find_model, read_model


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
    say: Callable[[str], None] = print,
) -> FolderSummary:
    """Find nuclei in every PNG and TIFF of ``images``; write label images of the same names to ``labels``.

    An image that cannot be read fails alone. ConfigError where there are no images or the two folders are the same.
    """
    if not images.is_dir():
        raise ConfigError(f"{images} is not a folder; give a folder of {', '.join(SUFFIXES)} images")
    paths = sorted(p for p in images.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    if not paths:
        raise ConfigError(f"{images} holds no {', '.join(SUFFIXES)} image; give a folder of single-channel images")
    if labels.resolve() == images.resolve():
        raise ConfigError(f"{labels} is the image folder itself; give another folder for the labels")
    tune_cpu(cores())
    card, weights = read_model(find_model(config.model))
    network = build_network(card, weights, find_device(device))
    labels.mkdir(parents=True, exist_ok=True)
    summary = FolderSummary({}, {})
    for i, path in enumerate(paths, start=1):
        try:
            probabilities = predict(network, normalise(read_image(path)), config.tiles)
            found = instances(probabilities, config.instances)
            write_labels_image(labels / path.name, found)
        except FieldError as error:
            summary.failed[path.name] = error.reason
            say(f"{i}/{len(paths)} {path.name}: failed: {error.reason}")
        else:
            summary.nuclei[path.name] = int(found.max(initial=0))
            say(f"{i}/{len(paths)} {path.name}: {summary.nuclei[path.name]} nuclei")
    return summary
