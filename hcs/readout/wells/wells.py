"""One row per expected well: status, counts, feature means and medians, cell-cycle fractions."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hcs.plate.keys import WellId
from hcs.readout.cycle.cycles import PlateCycle, find_cycle
from hcs.readout.cycle.dna import DnaPeak, find_peak
from hcs.readout.cycle.phases import Floats
from hcs.readout.cycle.tables import well_fractions
from hcs.readout.settings import ReadoutSettings
from hcs.readout.wells.features import ByWell, by_well, content_in_n, well_features
from hcs.readout.wells.nuclei import (
    DNA_CONTENT,
    MICRONUCLEI,
    NO_DNA,
    SENSOR_RATIO,
    Codes,
    measured_rows,
    numbers,
    rows_of_wells,
    saturated_rows,
    source_rows,
    well_codes,
)

_MAP_COLUMNS = ("role", "compound", "dose", "unit")


def plate_peak(
    nuclei: pd.DataFrame,
    plate_map: pd.DataFrame | None,
    settings: ReadoutSettings,
    *,
    dna: str | None = None,
) -> DnaPeak:
    """2N peak of a plate from the measured nuclei of its negative-control wells.

    Without a plate map, or one without negative controls on this plate, all wells are used and
    ``source_wells`` says so. ``dna`` names the DNA channel, whose saturated pixels are then watched.
    """
    source, rows = source_rows(nuclei, plate_map, settings)
    if DNA_CONTENT not in nuclei:
        return DnaPeak(np.nan, np.nan, np.nan, 0, False, NO_DNA, source)
    clipped = saturated_rows(nuclei, dna)
    saturated = float(clipped[rows].mean()) if clipped is not None and rows.any() else np.nan
    content = numbers(nuclei, DNA_CONTENT)[rows]
    return find_peak(content, source_wells=source, settings=settings, saturated=saturated)


def summarise_wells(
    nuclei: pd.DataFrame,
    fields: pd.DataFrame,
    plate_map: pd.DataFrame | None,
    settings: ReadoutSettings,
    *,
    cycle: PlateCycle | None = None,
    plate: str | None = None,
    tables: ByWell | None = None,
) -> pd.DataFrame:
    """Well table: one row per well of ``fields``, in plate order, whatever became of it.

    Args:
        nuclei: the nucleus table, with Metadata_Well and the measured columns.
        fields: one row per expected field: well, field, status (ok, empty, failed, pending), reason.
        plate_map: frame with well, role, compound, dose, unit and further columns, or None.
        settings: thresholds and the handling of nuclei at the border.
        cycle: the plate's cell cycle; found here when None.
        plate: Metadata_Plate; by default that of the first nucleus.
        tables: the nuclei with all columns, well by well, where ``nuclei`` has only those of ``single_columns``.

    Means and medians leave NaN and infinite values out; without any value they are NaN. Raises ResultsError
    when the table holds nuclei of a well that ``fields`` does not expect.
    """
    wells = expected_wells(fields)
    codes = well_codes(nuclei["Metadata_Well"], wells)
    if cycle is None:
        peak = plate_peak(nuclei, plate_map, settings)
        cycle = find_cycle(nuclei, wells, plate_map, settings, peak=peak)
    rows = rows_of_wells(codes, measured_rows(nuclei, settings), len(wells))
    table = _metadata(wells, nuclei, plate_map, plate)
    table = table.join(_status(fields, wells)).reset_index(drop=True)
    table["Count_Nuclei"] = np.bincount(codes, minlength=len(wells))
    table["Count_Nuclei_Measured"] = [chosen.size for chosen in rows]
    empty = (table["Status"] == "ok") & (table["Count_Nuclei"] == 0)
    table.loc[empty, "Status"] = "empty"
    sensor = _sensor_high(numbers(nuclei, SENSOR_RATIO), rows, settings)
    features = well_features(by_well(nuclei, wells) if tables is None else tables, wells, settings)
    content_n = content_in_n(features, cycle.peak)
    parts = [table, well_fractions(cycle), sensor, features, content_n]
    if MICRONUCLEI in nuclei:
        parts.append(_micronucleated(numbers(nuclei, MICRONUCLEI), rows))
    return pd.concat(parts, axis=1)


def expected_wells(fields: pd.DataFrame) -> list[str]:
    """The wells of a table of fields, in plate order."""
    return sorted(set(fields["well"]), key=WellId.parse)


def _metadata(
    wells: list[str], nuclei: pd.DataFrame, plate_map: pd.DataFrame | None, plate: str | None
) -> pd.DataFrame:
    """Plate, well and the plate map's columns; wells that are not on the map have no role."""
    if plate is None:
        plate = str(nuclei["Metadata_Plate"].iloc[0]) if len(nuclei) and "Metadata_Plate" in nuclei else ""
    table = pd.DataFrame({"Metadata_Plate": plate, "Metadata_Well": wells}, index=pd.Index(wells))
    if plate_map is None:
        plate_map = pd.DataFrame({"well": [], "role": [], "compound": [], "dose": [], "unit": []})
    mapped = plate_map.set_index("well").reindex(wells)
    for name in mapped.columns:
        values = mapped[name]
        if name in ("role", "compound", "unit"):
            values = values.astype(object).where(values.notna(), "")
        elif name == "dose":
            values = values.astype(np.float64)
        table[metadata_name(str(name))] = values
    return table


def metadata_name(column: str) -> str:
    """Well-table name of a plate-map column: group is Metadata_Group; one that clashes gets Metadata_Map_."""
    name = column[:1].upper() + column[1:]
    taken = {"Plate", "Well", *(c.capitalize() for c in _MAP_COLUMNS)}
    return f"Metadata_Map_{name}" if name in taken and column not in _MAP_COLUMNS else f"Metadata_{name}"


def _status(fields: pd.DataFrame, wells: list[str]) -> pd.DataFrame:
    """Status, Reason, Fields_Expected and Fields_Ok of each well.

    partial: some fields done, others failed, pending or excluded; excluded: all that did not fail are left out
    for their flags; failed: none done and one or more failed; empty: no nucleus. An empty field counts as ok: it
    was looked at.
    """
    done = fields["status"].isin(["ok", "empty"])
    counts = pd.DataFrame(
        {
            "well": fields["well"],
            "Fields_Expected": 1,
            "Fields_Ok": done,
            "failed": fields["status"] == "failed",
            "excluded": fields["status"] == "excluded",
        }
    )
    table = counts.groupby("well").sum().reindex(wells).astype(np.int64)
    out = (table["excluded"] > 0) & (table["excluded"] + table["failed"] == table["Fields_Expected"])
    choices = [table["Fields_Ok"] == table["Fields_Expected"], table["Fields_Ok"] > 0, out, table["failed"] > 0]
    status = np.select(choices, ["ok", "partial", "excluded", "failed"], default="pending")
    reasons = _reasons(fields[~done])
    return pd.DataFrame(
        {
            "Status": status.astype(object),
            "Reason": [reasons.get(well, "") for well in wells],
            "Fields_Expected": table["Fields_Expected"],
            "Fields_Ok": table["Fields_Ok"],
        },
        index=pd.Index(wells),
    )


def _reasons(unfinished: pd.DataFrame) -> dict[str, str]:
    """Per well, each field that is not done and why."""
    texts: dict[str, list[str]] = {}
    for well, field, status, reason in zip(
        unfinished["well"], unfinished["field"], unfinished["status"], unfinished["reason"], strict=True
    ):
        why = str(reason) if isinstance(reason, str) and reason else str(status)
        texts.setdefault(well, []).append(f"field {field}: {why}")
    return {well: "; ".join(parts) for well, parts in texts.items()}


def _sensor_high(ratio: Floats, rows: list[Codes], settings: ReadoutSettings) -> pd.Series:
    """Share of each well's nuclei whose sensor ratio lies above the fixed threshold; NaN without any ratio."""
    shares = np.full(len(rows), np.nan)
    for i, chosen in enumerate(rows):
        known = ratio[chosen][np.isfinite(ratio[chosen])]
        if known.size:
            shares[i] = float((known > settings.sensor_threshold).mean())
    return pd.Series(shares, name="Fraction_SensorHigh")


def _micronucleated(counts: Floats, rows: list[Codes]) -> pd.Series:
    """Share of each well's measured nuclei that have a micronucleus; NaN without any nucleus."""
    shares = [float((counts[chosen] > 0).mean()) if chosen.size else np.nan for chosen in rows]
    return pd.Series(shares, name="Fraction_Micronucleated", dtype=np.float64)
