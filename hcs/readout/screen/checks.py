"""Whether the samples of a plate are like its negatives in place and spread, as sentences for the reader."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from hcs.readout.groups import Floats
from hcs.readout.screen.plate_effects import Positions, position_trends, positions_of
from hcs.readout.screen.reference import own_noise
from hcs.readout.screen.spread import robust_sd

_CERTAIN = 1e-3  # p-value from which on a trend is worth a word
_LEAST = 6  # negatives that a spread is compared with
_WIDER, _NARROWER = 1.35, 0.6  # of the negatives' spread


def sample_notes(scores: pd.DataFrame) -> tuple[str, ...]:
    """Sentences on a plate's score table, where samples depend on their place, or vary otherwise than negatives do."""
    return tuple(
        note for readout, table in scores.groupby("Readout", sort=False) for note in _notes(str(readout), table)
    )


def _notes(readout: str, table: pd.DataFrame) -> Iterator[str]:
    value = table["Value"].to_numpy(dtype=np.float64)
    corrected = table["Corrected"].to_numpy(dtype=np.float64)
    role = table["Metadata_Role"].to_numpy()
    samples, negatives = (np.isfinite(value) & (role == name) for name in ("sample", "negative"))
    if samples.sum() < _LEAST or negatives.sum() < _LEAST:
        return
    place = positions_of(table["Metadata_Well"])
    spread = robust_sd(value[negatives])
    trend = _trend(value, place, samples, spread)
    if trend:
        done = str(table["Correction"].iloc[0])
        why = str(table["Correction_Reason"].iloc[0])
        taken = f"it is taken out ({done})" if done != "none" else f"it is not taken out{f' ({why})' if why else ''}"
        same = "negatives show it too" if _trend(value, place, negatives, spread) else "the negatives do not show it"
        risk = "" if done != "none" else "; hits may be owed to their place"
        yield f"{readout}: samples depend on their {trend}, {same}; {taken}{risk}."
    basis = str(table["Reference"].iloc[0])
    own = corrected[samples] if basis == "samples" else own_noise(table[samples])
    ratio = _ratio(own, corrected[negatives], centre=None if basis == "samples" else 0.0)
    if _is_other(ratio, own.size, int(negatives.sum())) and (ratio > 1 or basis == "samples"):
        so = "." if basis == "samples" else ", widened by the samples' own noise where replicates or doses tell it."
        yield (
            f"{readout}: samples without an effect vary {ratio:.1f} times as much as the negatives (robust SD), which "
            f"therefore do not tell how such wells vary; p-values are made against the {basis}{so}"
        )


def _trend(values: Floats, place: Positions, chosen: np.ndarray[tuple[int], np.dtype[np.bool_]], sd: float) -> str:
    """The clearest effect of the position in words; empty without one beyond chance."""
    found = sorted(position_trends(values, place, chosen), key=lambda trend: trend.p)
    if not found or found[0].p > _CERTAIN:
        return ""
    span = f", medians {found[0].span / sd:.1f} SD of the negatives apart" if sd > 0 else ""
    return f"{found[0].what} (p = {found[0].p:.1g}{span})"


def _ratio(samples: Floats, negatives: Floats, *, centre: float | None) -> float:
    below = robust_sd(negatives)
    return robust_sd(samples, centre) / below if below > 0 and samples.size >= _LEAST else float("nan")


def _is_other(ratio: float, n: int, m: int) -> bool:
    """Whether spreads differ by more than chance makes two of so many wells differ, and enough to matter."""
    if not ratio > 0:
        return False
    chance = 2.6 * np.sqrt(1.36 * (1 / n + 1 / m))  # the log of a MAD has a variance of about 1.36 / n
    return (ratio > _WIDER or ratio < _NARROWER) and abs(np.log(ratio)) > chance
