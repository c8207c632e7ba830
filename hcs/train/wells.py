"""Which wells train, choose and test a model.

Alone in a file: fields of one well share cells, dose and day, so a split is by well, never by field, wherever truth
comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np

from hcs.errors import ConfigError

Split = Literal["train", "val", "test"]
SHARE = 1 / 6
"""Wells that choose, and as many that test, where nobody says which."""


def split_wells(
    wells: Sequence[str], *, val: Sequence[str] = (), test: Sequence[str] = (), seed: int = 0
) -> dict[str, Split]:
    """A split for every one of ``wells``; those that are not named are drawn, spread over the order given.

    Two wells leave none to test with. ConfigError with fewer, for a well named twice, and where none is left to train.
    """
    if len(wells) < 2:
        raise ConfigError(f"{len(wells)} well(s) to learn from: give at least 2, and 3 for a test")
    if both := sorted(set(val) & set(test)):
        raise ConfigError(f"well {both[0]} is named both to choose (--val-wells) and to test (--test-wells)")
    splits: dict[str, Split] = {**dict.fromkeys(val, "val"), **dict.fromkeys(test, "test")}
    kinds: list[Split] = [kind for kind, named in (("test", test), ("val", val)) if not named]  # type: ignore[misc]
    for kind in kinds:
        free = [well for well in wells if well not in splits]
        count = max(1, round(SHARE * len(wells)))
        if kind == "test" and len(wells) < 3:
            continue
        splits |= dict.fromkeys(_spread(free, min(count, len(free) - 1), seed), kind)
    if not any(well not in splits for well in wells):
        raise ConfigError("no well is left to train with; name fewer in --val-wells and --test-wells")
    return {well: splits.get(well, "train") for well in wells}


def _spread(wells: Sequence[str], count: int, seed: int) -> list[str]:
    """``count`` of ``wells``, one from each of as many equal stretches."""
    rng = np.random.default_rng([seed, len(wells), count])
    edges = np.linspace(0, len(wells), count + 1).round().astype(int)
    return [wells[int(rng.integers(start, stop))] for start, stop in pairwise(edges)]
