"""A training run as a figure. Alone in a file, for matplotlib is imported at its end only."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from hcs.train.checkpoint import Row, goodness


def history_figure(curve: Sequence[Row], history: Sequence[Row]) -> Figure:
    """Mean loss between checkpoints, and F1 on the validation images at every evaluation, against steps.

    The evaluation whose weights were kept is marked.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    loss, score = figure.subplots(1, 2)
    loss.plot([row["step"] for row in curve], [row["loss"] for row in curve], color="tab:blue", linewidth=1.2)
    loss.set(xlabel="step", ylabel="training loss", ylim=(0, None))
    steps = [row["step"] for row in history]
    for key, label, colour in (
        ("val_mean_f1", "mean F1, IoU 0.50–0.90", "tab:green"),
        ("val_f1_at_0.5", "F1 at IoU 0.5", "tab:olive"),
    ):
        score.plot(steps, [row[key] for row in history], "o-", color=colour, markersize=3, linewidth=1.2, label=label)
    best = max(history, key=goodness)
    score.plot(best["step"], best["val_mean_f1"], "o", color="black", markersize=8, fillstyle="none", label="kept")
    score.set(xlabel="step", ylabel="validation F1", ylim=(0, 1))
    score.legend(loc="lower right", fontsize=8, frameon=False)
    for axes in (loss, score):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3, linewidth=0.6)
    return figure
