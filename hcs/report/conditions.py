"""Conditions of a plate (role, compound, dose) and the DNA histogram of each."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcs.readout.cycle.columns import PHASES
from hcs.readout.cycle.deanjett import Prior, fit_cycle
from hcs.readout.cycle.phases import EDGES_N, Floats, PhaseModel, bin_content
from hcs.readout.wells.nuclei import rows_of_wells
from hcs.report.embed import plain
from hcs.report.tables import PlateTables

_KEYS = ("Metadata_Role", "Metadata_Compound", "Metadata_Dose", "Metadata_Unit", "Metadata_Group")
_ORDER = {"negative": 0, "positive": 1, "sample": 2}
_MERGED = 2
_SHOWN_N = 8.0
_RAW_BINS = 100
_LEAST = 50  # nuclei that a fit needs


@dataclass(frozen=True, slots=True)
class Histograms:
    """Counts of nuclei by DNA content, of each condition that has wells.

    ``edges`` (B + 1,) are in units of N where ``in_n``, else log2 of the DNA content; what lies beyond them counts in
    the end bins. ``what`` says which nuclei are counted.
    """

    edges: Floats
    in_n: bool
    what: str
    conditions: tuple[dict[str, Any], ...]

    def data(self) -> dict[str, object]:
        """As plain data."""
        return {
            "edges": [round(float(edge), 6) for edge in self.edges],
            "inN": self.in_n,
            "what": self.what,
            "phases": list(PHASES),
            "conditions": list(self.conditions),
        }


def condition_of_wells(wells: pd.DataFrame) -> pd.DataFrame:
    """One row a condition: its keys and ``wells``, the names of its wells; controls first, then by name and dose.

    Wells without a role on the plate map, and empty ones, form no condition; where no well has a role, all wells
    together are one, with an empty role.
    """
    table = wells.reindex(columns=["Metadata_Well", *_KEYS]).copy()
    for key in _KEYS:
        if key != "Metadata_Dose":
            table[key] = table[key].astype(object).where(table[key].notna(), "").astype(str)
    mapped = table[table["Metadata_Role"].isin(list(_ORDER))]
    if mapped.empty:
        mapped = table.assign(Metadata_Role="", Metadata_Compound="", Metadata_Dose=np.nan)
    negative = mapped["Metadata_Role"] == "negative"
    mapped = mapped.assign(
        Metadata_Dose=mapped["Metadata_Dose"].astype(np.float64).where(~negative),
        Metadata_Unit=mapped["Metadata_Unit"].where(~negative, ""),
    )
    grouped = mapped.groupby(list(_KEYS), dropna=False, sort=False)["Metadata_Well"].agg(list)
    found = grouped.rename("wells").reset_index()
    order = found["Metadata_Role"].map(_ORDER).fillna(3)
    ranked = found.assign(order=order).sort_values(
        ["order", "Metadata_Compound", "Metadata_Group", "Metadata_Dose"], kind="stable"
    )
    return ranked.drop(columns="order").reset_index(drop=True)


def dna_histograms(tables: PlateTables, nuclei: pd.DataFrame) -> Histograms | None:
    """Histograms of the conditions' DNA contents from the measured ``nuclei``; None where none was measured.

    Doublets and debris are left out where the nuclei have a gate. Each condition gets a Dean-Jett-Fox fit of its own,
    as wells do, by the plate's model in the cycle table; none where that was refused.
    """
    if "Nuclei_DNA_Content" not in nuclei or nuclei.empty or tables.frame("wells").empty:
        return None
    single = nuclei[nuclei["Gate"] == "single"] if "Gate" in nuclei else nuclei
    usable = tables.peak_usable
    content = single["Nuclei_DNA_Content"].to_numpy(dtype=np.float64)
    if usable:
        values, edges = 2 * content / float(tables.peak["DNA_TwoN"]), EDGES_N
    else:
        values = np.log2(np.where(content > 0, content, np.nan))
        edges = _spread(values)
    model = plate_model(tables.frame("cycles")) if usable else None
    rows = condition_of_wells(tables.frame("wells")).to_dict("records")
    own = _by_condition(values, single["Metadata_Well"], [row["wells"] for row in rows])
    conditions = tuple(
        _condition(row, _counts(some, edges, usable), model) for row, some in zip(rows, own, strict=True)
    )
    shown = edges[: int(_SHOWN_N / edges[1]) + 1 : _MERGED] if usable else edges
    return Histograms(shown, usable, "single nuclei" if "Gate" in nuclei else "measured nuclei", conditions)


def _by_condition(values: Floats, wells: pd.Series, conditions: Sequence[Sequence[str]]) -> list[Floats]:
    """The values (n,) of each condition, which is a list of wells, each well in one at most; sorted once, as looking
    through all nuclei for every condition takes longer than all else on the page."""
    condition_of = {well: i for i, own in enumerate(conditions) for well in own}
    codes, names = pd.factorize(wells)
    owner = np.array([condition_of.get(str(name), -1) for name in names], dtype=np.intp)[codes]
    return [values[rows] for rows in rows_of_wells(owner, owner >= 0, len(conditions))]


def plate_model(cycles: pd.DataFrame) -> PhaseModel | None:
    """The plate's own Dean-Jett-Fox model from the cycle table; None where it is missing or was refused."""
    if not {"Metadata_Well", "Model", "TwoN", "CV_G1", "Ratio_G2G1"} <= set(cycles.columns):
        return None
    own = cycles[(cycles["Metadata_Well"] == "") & (cycles["Model"] == "djf") & cycles["CV_G1"].notna()]
    if own.empty:
        return None
    row = own.iloc[0]
    return PhaseModel(cv=float(row["CV_G1"]), four_n_ratio=float(row["Ratio_G2G1"]), two_n=float(row["TwoN"]))


def _condition(row: Mapping[Hashable, Any], counts: Floats, model: PhaseModel | None) -> dict[str, Any]:
    dose = float(row["Metadata_Dose"])
    fitted = model is not None and counts.sum() >= _LEAST
    fit = fit_cycle(counts, Prior.of_well(model)) if fitted and model is not None else None
    merged = _merge(counts[None])[0] if counts.size == EDGES_N.size - 1 else counts
    curves = None if fit is None else _merge(fit.n * fit.weights[:, None] * fit.model.shapes())
    return {
        "role": str(row["Metadata_Role"]),
        "compound": plain(row["Metadata_Compound"]),
        "dose": dose if np.isfinite(dose) else None,
        "unit": plain(row["Metadata_Unit"]),
        "group": plain(row["Metadata_Group"]),
        "wells": row["wells"],
        "nuclei": int(counts.sum()),
        "counts": [int(c) for c in merged],
        "weights": None if fit is None else [float(w) for w in fit.weights],
        "curves": None if curves is None else [[float(f"{v:.3g}") if v >= 0.02 else 0 for v in row] for row in curves],
    }


def _counts(values: Floats, edges: Floats, usable: bool) -> Floats:
    if usable:
        return bin_content(values)
    inside = np.clip(values[np.isfinite(values)], edges[0], edges[-1])
    return np.histogram(inside, bins=edges)[0].astype(np.float64)


def _spread(values: Floats) -> Floats:
    """Edges over the range that holds all but 1 % of the values."""
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, [0.5, 99.5]) if finite.size else (0.0, 1.0)
    return np.linspace(low, max(high, low + 1e-3), _RAW_BINS + 1)


def _merge(rows: npt.NDArray[np.float64]) -> Floats:
    """Rows over EDGES_N as rows over pairs of its bins up to 8 N, with all beyond in the last one."""
    n = int(_SHOWN_N / EDGES_N[1])
    merged: Floats = rows[:, :n].reshape(len(rows), n // _MERGED, _MERGED).sum(axis=2)
    merged[:, -1] += rows[:, n:].sum(axis=1)
    return merged
