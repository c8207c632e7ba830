"""Which nucleus is of which kind: `kinds.csv` beside the images, and what a network with an interior class for each
kind is to learn of it.

Classes of such a network are background, the interiors of kind 1 to k, and boundary, which all kinds share (Van Valen
et al. 2016 give every cell type an interior class). A nucleus whose kind nobody told teaches where it ends, and that
its interior is that of some kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.errors import ConfigError
from hcs.train.augment import Sample

KINDS = "kinds.csv"
COLUMNS = ("image", "label", "kind")
_MOST_FACTOR = 30.0


def read_kinds(folder: Path, images: Sequence[str], kinds: Sequence[str]) -> dict[str, dict[int, int]]:
    """Of each of ``images`` its nuclei's kinds, 1..k as in ``kinds``, by label value.

    ``kinds.csv`` has a row a nucleus: image (its name in ``index.csv``), label (its value in the label image) and kind.
    ConfigError where it is missing or wrong, or has not one nucleus of some kind.
    """
    path = folder / KINDS
    try:
        table = pd.read_csv(path, dtype={"image": "str", "kind": "str"})
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read ({error}); write a CSV of the columns {', '.join(COLUMNS)}"
        ) from error
    if missing := [name for name in COLUMNS if name not in table]:
        raise ConfigError(f"{path} has no column {missing[0]!r}; it needs {', '.join(COLUMNS)}")
    if not pd.api.types.is_integer_dtype(table["label"]):
        raise ConfigError(f"{path}: a label is no whole number; give the nucleus' value in the label image")
    for column, known, remedy in (
        ("image", images, "give a name of index.csv"),
        ("kind", kinds, f"the settings' kinds are {', '.join(kinds)}"),
    ):
        strangers = table[~table[column].isin(known)]
        if len(strangers):
            raise ConfigError(f"{path}: {column} {strangers[column].iloc[0]!r} is not known; {remedy}")
    twice = table[table.duplicated(["image", "label"])]
    if len(twice):
        raise ConfigError(f"{path} names nucleus {twice['label'].iloc[0]} of {twice['image'].iloc[0]} twice; keep one")
    number = {name: i for i, name in enumerate(kinds, start=1)}
    found: dict[str, dict[int, int]] = {name: {} for name in images}
    for image, label, kind in table[list(COLUMNS)].itertuples(index=False):
        found[image][int(label)] = number[kind]
    return found


def check_taught(table: Mapping[str, Mapping[int, int]], kinds: Sequence[str], where: Path, split: str) -> None:
    """ConfigError where a split has no nucleus of some kind: nothing could be learnt of it, or said of how well."""
    there = {kind for of_image in table.values() for kind in of_image.values()}
    for number, name in enumerate(kinds, start=1):
        if number not in there:
            raise ConfigError(
                f"{where / KINDS} has no nucleus of kind {name!r} in split {split!r}; give some, or leave it"
            )


def kind_plane(labels: NDArray[np.integer], known: Mapping[int, int], where: str) -> NDArray[np.uint8]:
    """Kind (Y, X) of the nucleus at each pixel, 0 where nobody told it; ConfigError for one that ``labels`` lack."""
    values = np.zeros(int(labels.max(initial=0)) + 1, np.uint8)
    there = np.bincount(labels.ravel())
    for label, kind in known.items():
        if not 0 < label < len(values) or not there[label]:
            raise ConfigError(f"{where}: {KINDS} names its nucleus {label}, which its labels do not have; take it out")
        values[label] = kind
    return np.asarray(values[labels])


def kind_classes(classes: NDArray[np.uint8], kinds: NDArray[np.uint8] | None, count: int) -> NDArray[np.uint8]:
    """Classes (Y, X) of 0 background, 1 interior, 2 boundary → of 0 background, 1..k the interior of each of ``count``
    kinds, k + 1 boundary, k + 2 interior of an unknown kind."""
    of_nucleus = np.zeros(classes.shape, np.uint8) if kinds is None else kinds
    out = np.where(classes == 2, np.uint8(count + 1), np.uint8(0))
    inside = classes == 1
    out[inside] = np.where(of_nucleus[inside] > 0, of_nucleus[inside], np.uint8(count + 2))
    return out


def counted(samples: Sequence[Sample], count: int) -> NDArray[np.int64]:
    """Pixels (k,) of nuclei of each kind in some images, as often as these are drawn."""
    found = np.zeros(count + 1, np.int64)
    for sample in samples:
        if sample.kinds is not None:
            found += np.bincount(sample.kinds.ravel(), minlength=count + 1) * sample.times
    return found[1:]


def kind_factors(pixels: NDArray[np.int64], balance: float) -> NDArray[np.float32]:
    """Loss weights (k,) of kinds of so many pixels (k,): 1 of the commonest, more of rare ones."""
    rare = np.max(pixels, initial=1) / np.maximum(pixels, 1)
    return np.minimum(rare**balance, _MOST_FACTOR).astype(np.float32)
