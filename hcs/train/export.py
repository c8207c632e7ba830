"""A finished training run → a model file with its card."""

from __future__ import annotations

import dataclasses
import hashlib
import platform
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from hcs.segment.model import weights_of
from hcs.segment.unet import UNet
from hcs.store.models import write_model
from hcs.train.settings import TrainSettings


def export(
    network: UNet,
    history: list[dict[str, float]],
    settings: TrainSettings,
    *,
    data: Path,
    path: Path,
    seconds: float,
) -> None:
    """Write ``path`` (.safetensors) and its card: the model, its data and licences, scores, how to make it again."""
    index = pd.read_csv(data / "index.csv")
    best = max(history, key=lambda row: row["val_mean_f1"])
    card: dict[str, Any] = {
        "name": path.stem,
        "task": "nucleus segmentation of fluorescence images, three classes: background, interior, boundary",
        "input": "one channel, normalised per field by hcs.segment.normalise; nuclei of about 8 to 60 px across",
        "network": {"widths": list(network.spec.widths), "classes": network.spec.classes},
        "parameters": sum(p.numel() for p in network.parameters()),
        "data": _data_card(index),
        "index_sha256": hashlib.sha256((data / "index.csv").read_bytes()).hexdigest(),
        "settings": dataclasses.asdict(settings),
        "scores": {
            "split": "val",
            "images": int((index["split"] == "val").sum()),
            "mean F1 over IoU 0.50-0.90": round(best["val_mean_f1"], 4),
            "F1 at IoU 0.5": round(best["val_f1_at_0.5"], 4),
            "step": int(best["step"]),
            "selection": "of all evaluations the one with the highest val mean F1; its scores are slightly optimistic",
        },
        "trained": {
            "date": time.strftime("%Y-%m-%d"),
            "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
            "torch": torch.__version__,
            "hours": round(seconds / 3600.0, 2),
        },
        "licence": "MIT (weights)",
        "limits": "2-D fluorescence only; not for brightfield or stained tissue; not trained on micronuclei",
    }
    write_model(path, card, weights_of(network))


def _data_card(index: pd.DataFrame) -> list[dict[str, Any]]:
    """Images, nuclei and licence by source and split."""
    groups = index.groupby(["split", "source", "licence"], as_index=False).agg(
        images=("name", "count"), nuclei=("nuclei", "sum")
    )
    return [{str(k): v for k, v in row.items()} for row in groups.to_dict(orient="records")]
