"""Gallery of what a truth ignored, and why: input and truth channel of some nuclei of each reason, side by side.

Alone in a file: the one figure that a training shows of its data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hcs.report.overlay import outlined

_A_ROW = 8


@dataclass(frozen=True, slots=True)
class IgnoredCrop:
    """One ignored nucleus: its input and truth channel (y, x), and its outline as labels (y, x)."""

    name: str
    given: NDArray[Any]
    truth: NDArray[Any]
    labels: NDArray[np.integer]


def ignored_figure(crops: dict[str, Sequence[IgnoredCrop]], counts: dict[str, int]) -> Figure:
    """Up to eight crops of each reason, the input channel above the truth channel; of ``counts`` in all."""
    shown = {reason: list(some)[:_A_ROW] for reason, some in crops.items() if some}
    figure = Figure(figsize=(1.3 * _A_ROW, 3.0 * max(len(shown), 1)), layout="constrained")
    if not shown:
        figure.text(0.5, 0.5, "No nucleus was ignored.", ha="center")
        return figure
    parts = np.asarray(figure.subfigures(len(shown), 1, squeeze=False)).ravel()
    for part, (reason, some) in zip(parts, shown.items(), strict=True):
        part.suptitle(f"{reason}: {counts.get(reason, len(some)):,}", fontsize=9)
        axes = part.subplots(2, _A_ROW, squeeze=False)
        for ax in axes.ravel():
            ax.set_axis_off()
        for (above, below), crop in zip(axes.T, some, strict=False):
            above.imshow(outlined(crop.given, crop.labels))
            below.imshow(outlined(crop.truth, crop.labels))
            above.set_title(crop.name, fontsize=5, parse_math=False)
        axes[0, 0].text(-0.1, 0.5, "input", transform=axes[0, 0].transAxes, ha="right", fontsize=7)
        axes[1, 0].text(-0.1, 0.5, "truth", transform=axes[1, 0].transAxes, ha="right", fontsize=7)
    return figure
