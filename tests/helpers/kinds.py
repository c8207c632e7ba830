"""A model that tells two kinds of nuclei, for tests: `fast`, whose interior class is drawn twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hcs.store.models import find_model, read_model, write_model
from hcs.train.narrow import with_classes

KINDS = ("plain", "odd")


def write_two_kinds(path: Path) -> Path:
    """Write the model: nuclei are found as `fast` finds them, and of either kind by how their pixels look."""
    card, weights = read_model(find_model("fast"))
    weights = with_classes(weights, 3, 4)
    turn = np.random.default_rng(0).normal(0.0, 0.1, weights["head.weight"].shape[1:]).astype(np.float32)
    weights["head.weight"][1] += turn
    weights["head.weight"][2] -= turn
    weights["head.bias"][1] += np.float32(1.35)  # about as many of either, among simulated nuclei
    network = card["network"] | {"classes": 4}
    write_model(path, card | {"name": path.stem, "network": network, "kinds": list(KINDS)}, weights)
    return path
