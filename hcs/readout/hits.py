"""Which compounds do something, at which dose: replicate wells of a condition against the negatives."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hcs.readout.chance import false_discovery, t_test
from hcs.readout.columns import as_table
from hcs.readout.groups import TESTED, Floats, conditions, of_group
from hcs.readout.hit_columns import HIT_COLUMNS
from hcs.readout.hit_settings import HitSettings
from hcs.readout.settings import ReadoutSettings
from hcs.readout.zprime import ssmd


def find_hits(scores: pd.DataFrame, settings: ReadoutSettings) -> pd.DataFrame:
    """Hit table: one row per readout, compound, dose, role and group of a score table, of columns ``HIT_COLUMNS``.

    A hit is a sample whose effect (``hits.by``: median robust z, or SSMD) reaches its limit, up or down, and whose
    q-value is at most ``hits.fdr``. Positive wells have the numbers but are never hits and do not count in q-values.
    SSMD needs two wells.
    """
    rows: list[dict[str, object]] = []
    for readout, table in scores.groupby("Readout", sort=False):
        negatives = table[table["Metadata_Role"] == "negative"]
        found = [
            {"Metadata_Plate": members["Metadata_Plate"].iloc[0], "Readout": readout}
            | _named(key)
            | _row(members, of_group(negatives, str(key[4])), settings)
            for key, members in conditions(table[table["Metadata_Role"].isin(TESTED)])
        ]
        sample = np.array([row["Role"] == "sample" for row in found], dtype=bool)
        q = np.full(len(found), np.nan)
        q[sample] = false_discovery([row["PValue"] for row in found if row["Role"] == "sample"])
        rows += [row | {"QValue": q[i]} | _decided(row, q[i], settings.hits) for i, row in enumerate(found)]
    return as_table(rows, HIT_COLUMNS)


def _named(key: tuple[object, ...]) -> dict[str, object]:
    return dict(zip(("Role", "Compound", "Dose", "Unit", "Group"), key, strict=True))


def _row(members: pd.DataFrame, negatives: pd.DataFrame, settings: ReadoutSettings) -> dict[str, object]:
    values, reference = _known(members["Corrected"]), _known(negatives["Corrected"])
    enough = reference.size >= settings.min_wells and values.size > 0
    z, effect = _known(members["RobustZ_Corrected"]), _known(members["PercentEffect"])
    return {
        "Count_Wells": values.size,
        "Count_NegativeWells": reference.size,
        "Correction": members["Correction"].iloc[0],
        "RobustZ": float(np.median(z)) if z.size else float("nan"),
        "SSMD": _ssmd(values, reference) if enough else float("nan"),
        "PercentEffect": float(effect.mean()) if effect.size else float("nan"),
        "PValue": t_test(values, reference) if enough else float("nan"),
        "Reason": _reason(members, values),
    }


def _reason(members: pd.DataFrame, values: Floats) -> str:
    """Why the wells of a condition have no scores; empty where they have."""
    said = str(members["Reason"].iloc[0])
    return said if values.size or said not in ("", "no value") else "no well of it has a value"


def _known(column: pd.Series) -> Floats:
    values = column.to_numpy(dtype=np.float64)
    known: Floats = values[np.isfinite(values)]
    return known


def _ssmd(values: Floats, negative: Floats) -> float:
    if values.size < 2:
        return float("nan")
    located = [np.array([v]) for v in (values.mean(), values.std(ddof=1), negative.mean(), negative.std(ddof=1))]
    return float(ssmd(*located).item())


def _decided(row: dict[str, object], q: float, settings: HitSettings) -> dict[str, object]:
    effect = row["RobustZ"] if settings.by == "robust_z" else row["SSMD"]
    limit = settings.robust_z if settings.by == "robust_z" else settings.ssmd
    reason = str(row["Reason"])
    if not reason and row["Role"] == "sample" and not np.isfinite(effect):  # type: ignore[call-overload]
        reason = f"{row['Count_Wells']} well with a value: no {settings.by.replace('_', ' ')}"
    hit = row["Role"] == "sample" and abs(effect) >= limit and q <= settings.fdr  # type: ignore[arg-type]
    return {"Hit": bool(hit), "Reason": reason}
