"""Scales on which the spread of bounded readouts depends less on their value: logit of fractions, log of ratios."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hcs.readout.groups import Floats, values_of

NONE, LOG, LOGIT = "none", "log", "logit"


def transforms_of(readout: str) -> tuple[str, ...]:
    """Scales that a well readout is judged on: its own, and logit for a fraction, log for a ratio.

    Told from the name alone, never from which scale gives the better Z'.
    """
    if readout.startswith("Fraction_"):
        return (NONE, LOGIT)
    if "Ratio" in readout and "LogRatio" not in readout:
        return (NONE, LOG)
    return (NONE,)


def transformed(wells: pd.DataFrame, readout: str, transform: str) -> Floats:
    """Values (n_wells,) of a readout on the scale ``transform``.

    The logit of a fraction p of n measured nuclei is log[(pn + 1/2) / (n - pn + 1/2)], which is finite at 0 and 1
    (Haldane 1956). The log (base 2) of a ratio that is not above 0 is NaN.
    """
    values = values_of(wells, readout)
    if transform == LOGIT:
        n = values_of(wells, "Count_Nuclei_Measured")
        inside = np.clip(values, 0, 1)
        logit: Floats = np.log((inside * n + 0.5) / (n - inside * n + 0.5))
        return np.where(n > 0, logit, np.nan)
    if transform == LOG:
        return np.log2(values, out=np.full(values.shape, np.nan), where=values > 0)
    return values
