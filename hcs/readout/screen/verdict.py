"""What a Z' is worth as a sentence: by the lower end of its interval, and only where enough nuclei stand behind it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from hcs.readout.groups import Floats, values_of
from hcs.readout.settings import ReadoutSettings

Word = Literal["excellent", "marginal", "uncertain", "overlap", "withheld", ""]
_MEASURED = "Count_Nuclei_Measured"
_EXCELLENT = 0.5


@dataclass(frozen=True, slots=True)
class Behind:
    """How many measured nuclei stand behind one side of a comparison: all, and the median over its wells."""

    total: int
    median: float


def nuclei_behind(rows: pd.DataFrame, values: Floats) -> Behind:
    """Measured nuclei of those wells (rows) that have a value; NaN and 0 where the table does not count nuclei."""
    if _MEASURED not in rows:
        return Behind(0, float("nan"))
    counts = values_of(rows, _MEASURED)[np.isfinite(values)]
    return Behind(int(np.nansum(counts)), float(np.median(counts)) if counts.size else float("nan"))


def too_few_nuclei(readout: str, positive: Behind, negative: Behind, settings: ReadoutSettings) -> str:
    """Why nuclei are too few for a verdict; empty where they are not, and for a readout that counts nuclei."""
    if readout.startswith("Count_"):
        return ""
    few = [
        f"{side} wells have {behind.median:g} measured {'nucleus' if behind.median == 1 else 'nuclei'} in the median"
        for side, behind in (("positive", positive), ("negative", negative))
        if behind.median < settings.min_nuclei
    ]
    return f"{' and '.join(few)}, at least {settings.min_nuclei} needed" if few else ""


def word_of(zprime: float, low: float, caution: str) -> Word:
    """How Zhang et al. 1999 would read the lower end of Z': from 0.5 excellent, above 0 marginal.

    A Z' above 0 whose lower end is not is uncertain; at or below 0 the controls overlap. Withheld where ``caution``
    says why, or without an interval; empty for NaN.
    """
    if not math.isfinite(zprime):
        return ""
    if zprime <= 0:
        return "overlap"
    if caution or not math.isfinite(low):
        return "withheld"
    if low >= _EXCELLENT:
        return "excellent"
    return "marginal" if low > 0 else "uncertain"


def sentence_of(row: Mapping[Any, Any]) -> str:
    """The verdict of a row of the plate table in words; why there is no Z' where there is none."""
    zprime, low, word = float(row["ZPrime"]), float(row["ZPrime_Low"]), str(row["Verdict"])
    if word == "":
        return str(row["Reason"]) or "no value"
    if word == "withheld":
        return f"no verdict: {row['Verdict_Reason'] or 'the value has no interval'}"
    if word == "excellent":
        return "excellent separation"
    if word == "marginal":
        hope = f"; excellent by its value alone, not by its lower end {low:.2f}" if zprime >= _EXCELLENT else ""
        return f"marginal separation{hope}"
    if word == "uncertain":
        return f"separation not shown: by its lower end {low:.2f} the controls may overlap"
    return "controls overlap: not usable for screening"
