"""A finished training run → a model file with its card."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from hcs.segment.networks import describe, weights_of
from hcs.store.models import INTEGERS, OBJECTS, write_model
from hcs.train.checkpoint import goodness
from hcs.train.data import INDEX, read_index
from hcs.train.kinds import KINDS
from hcs.train.loop import Trained
from hcs.train.score import bootstrap, right_by_kind
from hcs.train.settings import TrainSettings
from hcs.train.spec import network_spec

_TASKS = {
    "nuclei": "nucleus segmentation of fluorescence images",
    "cells": "whole cells in a cytoplasm or sensor channel, for cells.model of a run",
}
_CLASS_NAMES = {2: "background, nucleus", 3: "background, interior, boundary"}


def export(
    trained: Trained,
    settings: TrainSettings,
    *,
    data: Path,
    path: Path,
    device: str = "cpu",
    machine: Mapping[str, Any] | None = None,
    further: Mapping[str, Any] | None = None,
) -> None:
    """Write ``path`` (.safetensors) and its card: the model, its data and licences, scores, how to make it again.

    ``further`` keys of the card are added, or replace those of the same name.
    """
    card: dict[str, Any] = {
        "name": path.stem,
        "task": f"{_TASKS[settings.objects]}, classes: {_class_names(settings)}",
        OBJECTS: settings.objects,
        "input": _input(trained, settings.objects),
        "network": describe(network_spec(settings)),
        **trained.recipe.card(),
        **({} if trained.steps is None else {INTEGERS: {name: list(pair) for name, pair in trained.steps.items()}}),
        "parameters": sum(p.numel() for p in trained.network.parameters()),
        "data": _data_card(read_index(data)),
        "index_sha256": hashlib.sha256((data / INDEX).read_bytes()).hexdigest(),
        **({"kinds_sha256": hashlib.sha256((data / KINDS).read_bytes()).hexdigest()} if settings.kinds else {}),
        "settings": settings.plain(),
        "settings_sha256": settings.digest(),
        "scores": _scores(trained),
        "trained": {
            "date": time.strftime("%Y-%m-%d"),
            "machine": {**(machine or {}), "threads": settings.threads, "device": _device_name(device)},
            "torch": torch.__version__,
            "steps": int(trained.history[-1]["step"]),
            "hours": round(trained.seconds / 3600.0, 2),
        },
        "licence": "MIT (weights)",
        "limits": "2-D fluorescence only; not for brightfield or stained tissue; not trained on micronuclei",
    }
    write_model(path, card | dict(further or {}), weights_of(trained.network))


def _class_names(settings: TrainSettings) -> str:
    if settings.kinds:
        return f"background, {', '.join(f'interior of {kind} nuclei' for kind in settings.kinds)}, boundary"
    return _CLASS_NAMES[settings.classes]


def _device_name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else device


def _input(trained: Trained, objects: str) -> str:
    recipe = trained.recipe
    objects = "whole cells" if objects == "cells" else objects
    size = f"{recipe.diameter_px:g} px across" if recipe.diameter_px else "as large as they are in the image"
    return f"one channel, prepared per field ({recipe.preprocess.normalise}); {objects} {size}"


def _scores(trained: Trained) -> dict[str, Any]:
    """Scores of the weights on the validation images, with 95 % bootstrap intervals over images."""
    kinds = trained.recipe.kinds
    best = max(trained.history, key=goodness)
    named = dict(zip(("mean F1 over IoU 0.50-0.90", "F1 at IoU 0.5"), trained.scores.T, strict=True))
    means = {name: round(float(own.mean()), 4) for name, own in named.items()}
    intervals = {f"{name}, 95 % interval": _rounded(bootstrap(own)) for name, own in named.items()}
    return {
        "split": "val",
        "images": len(trained.scores),
        **means,
        **intervals,
        "step": int(best["step"]),
        "scale": "each image at the size of its true median nucleus" if trained.recipe.diameter_px else "as it is",
        "selection": "of all evaluations the one with the highest val mean F1"
        + (" times the mean share of each kind that is right" if kinds else "")
        + "; its scores are slightly optimistic",
        **({"kinds": _kind_scores(trained)} if kinds else {}),
    }


def _kind_scores(trained: Trained) -> dict[str, Any]:
    """Of the validation images' nuclei that are found, IoU 0.5, and whose kind is told: what each is taken for."""
    kinds, taken = trained.recipe.kinds, trained.taken
    right = right_by_kind(taken)
    return {
        "right": round(float(np.trace(taken) / max(int(taken.sum()), 1)), 4),
        **{
            kind: {
                "nuclei": int(row.sum()),
                "right": round(float(share), 4),
                "taken for": {other: int(n) for other, n in zip(kinds, row, strict=True)},
            }
            for kind, row, share in zip(kinds, taken, right, strict=True)
        },
    }


def _rounded(interval: tuple[float, float]) -> list[float] | None:
    """The interval as JSON holds it; None where there is none."""
    return None if interval[0] != interval[0] else [round(end, 4) for end in interval]


def _data_card(index: pd.DataFrame) -> list[dict[str, Any]]:
    """Images and, where the index tells them, nuclei and licence, by source and split."""
    keys = [key for key in ("split", "source", "licence") if key in index]
    wanted = {"images": ("name", "count")} | ({"nuclei": ("nuclei", "sum")} if "nuclei" in index else {})
    groups = index.groupby(keys, as_index=False, dropna=False).agg(**wanted)
    return [{str(k): v for k, v in row.items() if not pd.isna(v)} for row in groups.to_dict(orient="records")]
