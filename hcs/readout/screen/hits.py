"""Which compounds do something, at which dose: replicate wells of a condition against wells without an effect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from hcs.readout.columns import as_table
from hcs.readout.groups import TESTED, Floats, conditions, of_group
from hcs.readout.screen.chance import false_discovery
from hcs.readout.screen.hit_columns import HIT_COLUMNS
from hcs.readout.screen.null import Null, learn_null
from hcs.readout.screen.reference import Reference, contrasts, reference_of
from hcs.readout.screen.spread import robust_sd
from hcs.readout.screen.zprime import ssmd
from hcs.readout.settings import HitSettings, ReadoutSettings


def find_hits(scores: pd.DataFrame, settings: ReadoutSettings) -> pd.DataFrame:
    """Hit table: one row per readout, compound, dose, role and group of a score table, of columns ``HIT_COLUMNS``.

    A hit is a sample whose effect (``hits.by``: median robust z, or SSMD) reaches its limit, up or down, and whose
    q-value is at most ``hits.fdr``. Conditions are measured against each other or against the negatives, as their wells
    are (see ``basis_of``). Positive wells have the numbers but are never hits and do not count in q-values. SSMD needs
    two wells.
    """
    rows: list[dict[str, object]] = []
    for readout, table in scores.groupby("Readout", sort=False):
        references = {group: _Conditions.of(table, str(group), settings) for group in table["Group"].unique()}
        found = [
            {"Metadata_Plate": members["Metadata_Plate"].iloc[0], "Readout": readout}
            | _named(key)
            | _row(members, references[str(key[4])], settings)
            for key, members in conditions(table[table["Metadata_Role"].isin(TESTED)])
        ]
        sample = np.array([row["Role"] == "sample" for row in found], dtype=bool)
        q = np.full(len(found), np.nan)
        q[sample] = false_discovery([row["PValue"] for row in found if row["Role"] == "sample"])
        rows += [row | {"QValue": q[i]} | _decided(row, q[i], settings.hits) for i, row in enumerate(found)]
    return as_table(rows, HIT_COLUMNS)


@dataclass(frozen=True, slots=True)
class _Conditions:
    """What the conditions of a group are measured against: as its ``wells``; and, where these are the samples and have
    replicates, the distribution of the replicates' ``noise``, and by how much sqrt(k) x the mean of k wells scatters
    more between conditions than that, ``stretch``."""

    wells: Reference
    noise: Null | None
    stretch: float

    @classmethod
    def of(cls, table: pd.DataFrame, group: str, settings: ReadoutSettings) -> _Conditions:
        """From the score table of one readout."""
        members = of_group(table, group)
        members = members[np.isfinite(members["Corrected"])]
        samples = members[members["Metadata_Role"] == "sample"]
        negative = _known(members.loc[members["Metadata_Role"] == "negative", "Corrected"])
        wells = reference_of(samples, negative, settings.hits)
        if wells.basis == "negatives":
            return cls(wells, None, 1.0)
        found = [values for _, rows in conditions(samples) if (values := _known(rows["Corrected"])).size > 1]
        noise = learn_null(np.concatenate([np.empty(0), *map(contrasts, found)]), centre=0.0)
        if noise is None:
            return cls(wells, None, 1.0)
        between = robust_sd(np.array([_far(values, wells.centre) for values in found]))
        return cls(wells, noise, max(1.0, between / noise.spread))

    def p_of(self, values: Floats) -> float:
        """Two-sided p-value of the wells (k,) of a condition.

        Single wells go by the distribution of all samples. Replicates go by their own noise, whose tails no hit
        lengthens; its scale is that of the means where replicates are alike for another reason than their compound.
        """
        if self.wells.basis == "negatives" or self.wells.null is None:
            return self.wells.p_of(values)
        far = _far(values, self.wells.centre)
        if values.size > 1 and self.noise is not None:
            return float(self.noise.p_values(np.array([far / self.stretch]))[0])
        return float(self.wells.null.p_values(np.array([self.wells.null.centre + far]))[0])

    def ssmd_of(self, values: Floats) -> float:
        """SSMD against the reference; NaN for a single well."""
        if values.size < 2:
            return float("nan")
        negative = self.wells.negative
        middle, spread = negative.mean(), negative.std(ddof=1)
        if self.wells.basis == "samples":
            middle, spread = self.wells.centre, self.wells.spread
        located = [np.array([v]) for v in (values.mean(), values.std(ddof=1), middle, spread)]
        return float(ssmd(*located).item())


def _far(values: Floats, centre: float) -> float:
    """How far the mean of wells (k,) lies from a centre, on the scale of single wells."""
    return float(np.sqrt(values.size) * (values.mean() - centre))


def _named(key: tuple[object, ...]) -> dict[str, object]:
    return dict(zip(("Role", "Compound", "Dose", "Unit", "Group"), key, strict=True))


def _row(members: pd.DataFrame, reference: _Conditions, settings: ReadoutSettings) -> dict[str, object]:
    values, negatives = _known(members["Corrected"]), reference.wells.negative
    enough = negatives.size >= settings.min_wells and values.size > 0
    z, effect = _known(members["RobustZ_Corrected"]), _known(members["PercentEffect"])
    return {
        "Count_Wells": values.size,
        "Count_NegativeWells": negatives.size,
        "Correction": members["Correction"].iloc[0],
        "Reference": reference.wells.basis,
        "RobustZ": float(np.median(z)) if z.size else float("nan"),
        "SSMD": reference.ssmd_of(values) if enough else float("nan"),
        "PercentEffect": float(effect.mean()) if effect.size else float("nan"),
        "PValue": reference.p_of(values) if enough else float("nan"),
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


def _decided(row: dict[str, object], q: float, settings: HitSettings) -> dict[str, object]:
    effect = row["RobustZ"] if settings.by == "robust_z" else row["SSMD"]
    limit = settings.robust_z if settings.by == "robust_z" else settings.ssmd
    reason = str(row["Reason"])
    if not reason and row["Role"] == "sample" and not np.isfinite(effect):  # type: ignore[call-overload]
        reason = f"{row['Count_Wells']} well with a value: no {settings.by.replace('_', ' ')}"
    hit = row["Role"] == "sample" and abs(effect) >= limit and q <= settings.fdr  # type: ignore[arg-type]
    return {"Hit": bool(hit), "Reason": reason}
