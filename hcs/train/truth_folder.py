"""Vetted truth on disk: a folder of images, labels and ignored pixels with its index, as `hcs.train.data` reads it.

Fields are read one at a time, twice: what is usual on a plate must be known before any nucleus is vetted by it.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tifffile
from numpy.typing import NDArray

from hcs.errors import ConfigError, FieldError
from hcs.measure.registration import moved, offset_px, uncovered, usual_offset
from hcs.segment.diameter import given_diameter, nucleus_diameters, plate_diameter
from hcs.segment.segmenter import Segmenter
from hcs.segment.settings import InstanceSettings
from hcs.store.atomic import replacing
from hcs.store.files.images import read_image, read_label_image, write_labels_image
from hcs.tiles.settings import TileSettings
from hcs.train.augment import Sample
from hcs.train.data import INDEX, SCALE_RULES, read_index, sample_scale
from hcs.train.truth import KEPT, LACKING, Evidence, TruthSettings, Vetted, camera_limit, evidence, vet, without_lacking

IGNORED = "ignored.csv"
TRUTH = "truth"
"""Folder of the truth channel's images, for people to look at."""
_LOOKED_AT = 24
"""Fields, spread over all, from which the size of nuclei and the camera's limit are known."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field to learn from."""

    name: str
    """Of its files, without suffix."""
    well: str
    split: str
    read: Callable[[], tuple[NDArray[Any], NDArray[Any]]]
    """Its input and its truth channel, (Y, X) each; FieldError where it cannot be read."""
    labels: Callable[[], NDArray[np.integer]] | None = None
    """Nuclei (Y, X) that it has already; None: they are found in the truth channel."""
    source: str = ""
    licence: str = ""
    times: int = 1
    """How often it is drawn in training, relative to others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finder:
    """What finds nuclei in the truth channel."""

    segmenter: Segmenter
    tiles: TileSettings
    instances: InstanceSettings
    diameter_px: float | None = None
    """Of the nuclei; None: estimated."""

    def scale(self, truth: Sequence[NDArray[Any]], say: Say) -> Fraction:
        """The scale for a plate of which some truth channels (Y, X) are given."""
        if self.diameter_px is not None:
            return given_diameter(self.diameter_px, self.segmenter.diameter_px).scale
        prepared = [self.segmenter.prepare(image) for image in truth]
        found = [nucleus_diameters(image, self.segmenter, self.tiles, self.instances) for image in prepared]
        size = plate_diameter(found, self.segmenter.diameter_px)
        say(f"Truth channel: {size.note()}")
        return size.scale

    def nuclei(self, image: NDArray[Any], scale: Fraction) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Labels and confidence (Y, X) of a truth channel (Y, X)."""
        settings = self.instances.for_field(None, scale)
        labels, certainty = self.segmenter.nuclei(image, self.tiles, settings, scale=scale)
        return labels.astype(np.int32), certainty.confidence


def write_truth(fields: Sequence[Field], folder: Path, finder: Finder, settings: TruthSettings, *, say: Say) -> None:
    """Find (or take) the nuclei of every field, vet them, and write ``folder``: images, labels, ignored pixels, the
    index, and ``ignored.csv`` with every nucleus that was ignored, and why.

    A field that cannot be read is left out, which ``say`` is told; ConfigError where a split loses all its fields.
    """
    readable, looked_at = _looked_at(fields, say)
    move = _moves(looked_at, say) if settings.register else (0, 0)
    readable = [_registered(field, move) for field in readable]
    limit = camera_limit([truth for _, truth in looked_at])
    scale = Fraction(1)
    if any(field.labels is None for field in readable):
        scale = finder.scale([truth for _, truth in looked_at], say)
    found: dict[str, Evidence] = {}
    for field in readable:
        try:
            found[field.name] = _find(field, folder, finder, scale, limit)
        except FieldError as error:
            say(f"left out: {error}")
    kept = [field for field in readable if field.name in found]
    _check_splits(fields, kept)
    sharpness = np.concatenate([each.sharpness for each in found.values()])
    usual = float(np.nanmedian(sharpness)) if np.isfinite(sharpness).any() else 0.0
    rows, ignored = [], []
    for field in kept:
        labels = read_label_image(folder / "labels" / f"{field.name}.tif").astype(np.int32)
        vetted = vet(labels, found[field.name], settings, usual_sharpness=usual)
        vetted = replace(vetted, ignore=vetted.ignore | uncovered(vetted.ignore.shape, *move))
        write_labels_image(folder / "ignore" / f"{field.name}.png", vetted.ignore.astype(np.uint32))
        rows.append(_row(field, vetted) | {"moved_y_px": move[0], "moved_x_px": move[1]})
        ignored += _ignored_rows(field.name, vetted)
    _write_csv(folder / IGNORED, ignored, columns=["name", "y", "x", "area_px", "reason"])
    _write_csv(folder / INDEX, rows)


def ignore_lacking(
    first: Path, folder: Path, segmenter: Segmenter, settings: TruthSettings, *, tiles: TileSettings, rule: str
) -> int:
    """The second round: in ``folder`` the truth of ``first``, with what ``segmenter`` sees clearly in the input of the
    training fields and the truth lacks ignored, too; how many that is. Fields that choose and test stay as they are."""
    shutil.copytree(first, folder, dirs_exist_ok=True)
    index = read_index(first)
    more: list[dict[str, Any]] = [
        {str(key): value for key, value in row.items()} for row in pd.read_csv(first / IGNORED).to_dict("records")
    ]
    count = 0
    for name, split, image, labels, ignore in index[["name", "split", "images", "labels", "ignore"]].itertuples(
        index=False
    ):
        if split != "train":
            continue
        truth = read_label_image(first / labels).astype(np.int32)
        ignored = read_label_image(first / ignore) > 0
        prepared = segmenter.prepare(read_image(first / image))
        sample = Sample(prepared, np.where(ignored, 0, truth), ignored)
        scale = sample_scale(sample, segmenter.diameter_px or 0.0, SCALE_RULES[rule])
        seen = segmenter.probabilities(prepared, tiles, scale)
        nuclei = segmenter.labels(seen, InstanceSettings().for_field(None, scale)).astype(np.int32)
        vetted = without_lacking(
            Vetted(truth, ignored, {}, np.zeros_like(truth)), nuclei, segmenter.recipe.confidence(seen), settings
        )
        write_labels_image(folder / ignore, vetted.ignore.astype(np.uint32))
        more += _ignored_rows(Path(name).stem, replace(vetted, reasons={}))
        count += int(vetted.lacking.max(initial=0))
    _write_csv(folder / IGNORED, more, columns=["name", "y", "x", "area_px", "reason"])
    return count


def _looked_at(fields: Sequence[Field], say: Say) -> tuple[list[Field], list[tuple[NDArray[Any], NDArray[Any]]]]:
    """The fields but for those, among some spread over all, that cannot be read; and the pixels of these."""
    step = max(len(fields) // _LOOKED_AT, 1)
    lost, pixels = set(), []
    for field in fields[step // 2 :: step]:
        try:
            pixels.append(field.read())
        except FieldError as error:
            lost.add(field.name)
            say(f"left out: {error}")
    return [field for field in fields if field.name not in lost], pixels


def _moves(looked_at: Sequence[tuple[NDArray[Any], NDArray[Any]]], say: Say) -> tuple[int, int]:
    """Whole pixels by which the truth channel is moved to lie on the input."""
    offset = usual_offset([offset_px(given, truth) for given, truth in looked_at if given.shape == truth.shape])
    if offset is None:
        say("Truth channel: where it lies beside the input cannot be told; it stays as it was taken")
        return 0, 0
    y, x = offset.whole()
    done = f"moved by {y}, {x} px" if (y, x) != (0, 0) else "not moved"
    say(f"Truth channel: the input lies {offset.y_px:.2f} px below and {offset.x_px:.2f} px right of it; it is {done}")
    return y, x


def _registered(field: Field, move: tuple[int, int]) -> Field:
    """The field with its truth moved by whole pixels."""
    if move == (0, 0):
        return field
    read, labels = field.read, field.labels

    def both() -> tuple[NDArray[Any], NDArray[Any]]:
        given, truth = read()
        return given, moved(truth, *move)

    return replace(field, read=both, labels=None if labels is None else lambda: moved(labels(), *move))


def _find(field: Field, folder: Path, finder: Finder, scale: Fraction, limit: float | None) -> Evidence:
    """The evidence for one field's nuclei; its image and labels are written."""
    given, truth = field.read()
    confidence = None
    if field.labels is None:
        labels, confidence = finder.nuclei(truth, scale)
    else:
        labels = field.labels().astype(np.int32)
    if not labels.shape == given.shape == truth.shape:
        raise FieldError(field.name, f"labels {labels.shape} and channels {given.shape} differ in size")
    _write_image(folder / "images" / f"{field.name}.tif", given)
    _write_image(folder / TRUTH / f"{field.name}.tif", truth)
    (folder / "labels").mkdir(parents=True, exist_ok=True)
    (folder / "ignore").mkdir(parents=True, exist_ok=True)
    write_labels_image(folder / "labels" / f"{field.name}.tif", labels.astype(np.uint32))
    return evidence(labels, truth, given, limit=limit, confidence=confidence)


def _check_splits(wanted: Sequence[Field], kept: Sequence[Field]) -> None:
    for split in dict.fromkeys(field.split for field in wanted):
        if not any(field.split == split for field in kept):
            raise ConfigError(f"none of the fields of split {split!r} can be read; name other wells")


def _row(field: Field, vetted: Vetted) -> dict[str, Any]:
    counts = vetted.counts()
    return {
        "split": field.split,
        "source": field.source,
        "licence": field.licence,
        "well": field.well,
        "name": f"{field.name}.tif",
        "images": f"images/{field.name}.tif",
        "labels": f"labels/{field.name}.tif",
        "ignore": f"ignore/{field.name}.png",
        "nuclei": counts[KEPT],
        "ignored": sum(counts.values()) - counts[KEPT],
        "times": field.times,
    }


def _ignored_rows(name: str, vetted: Vetted) -> list[dict[str, Any]]:
    """A row for everything that a field's truth ignores: where, how large, and why."""
    rows = []
    for labels, reasons in (
        (vetted.labels, vetted.reasons),
        (vetted.lacking, dict.fromkeys(range(1, int(vetted.lacking.max(initial=0)) + 1), LACKING)),
    ):
        for value, reason in sorted(reasons.items()):
            y, x = np.nonzero(labels == value)
            rows.append(
                {"name": name, "y": round(y.mean(), 1), "x": round(x.mean(), 1), "area_px": y.size, "reason": reason}
            )
    return rows


def _write_image(path: Path, image: NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, image, compression="zlib")
    with replacing(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def _write_csv(path: Path, rows: list[dict[str, Any]], columns: list[str] | None = None) -> None:
    with replacing(path) as temporary:
        temporary.write_text(pd.DataFrame(rows, columns=columns).to_csv(index=False))
