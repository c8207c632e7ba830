"""One row per expected well: status, counts, feature means and medians, cell-cycle fractions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcs.errors import ResultsError
from hcs.plate.keys import WellId
from hcs.readout.dna import DnaPeak, find_peak
from hcs.readout.phases import PHASES, Floats, bin_content, fit_weights
from hcs.readout.settings import ReadoutSettings

DNA_CONTENT = "Nuclei_DNA_Content"
SENSOR_RATIO = "Nuclei_Sensor_Ratio"
SENSOR_FEATURES = (SENSOR_RATIO, "Nuclei_Sensor_LogRatio")
TOUCHES_BORDER = "Nuclei_Flag_TouchesBorder"
_MAP_COLUMNS = ("role", "compound", "dose", "unit")


def measured_nuclei(nuclei: pd.DataFrame, settings: ReadoutSettings) -> pd.DataFrame:
    """The nuclei (rows) that statistics are made of: all, or those that do not touch the field's border."""
    if not settings.exclude_border or TOUCHES_BORDER not in nuclei:
        return nuclei
    return nuclei[~nuclei[TOUCHES_BORDER].to_numpy(dtype=bool)]


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
    source, chosen = source_nuclei(nuclei, plate_map, settings)
    if DNA_CONTENT not in chosen:
        return DnaPeak(np.nan, np.nan, np.nan, 0, False, f"the table has no column {DNA_CONTENT}", source)
    flag = f"Nuclei_Flag_SaturatedPixels_{_identifier(dna)}" if dna else ""
    saturated = float((chosen[flag].to_numpy() > 0).mean()) if flag in chosen and len(chosen) else np.nan
    return find_peak(chosen[DNA_CONTENT], source_wells=source, settings=settings, saturated=saturated)


def source_nuclei(
    nuclei: pd.DataFrame, plate_map: pd.DataFrame | None, settings: ReadoutSettings
) -> tuple[str, pd.DataFrame]:
    """Which wells the 2N peak is taken from, in words, and their measured nuclei."""
    measured = measured_nuclei(nuclei, settings)
    if plate_map is None:
        return "all wells (no plate map)", measured
    negatives = plate_map.loc[plate_map["role"] == "negative", "well"]
    here = measured["Metadata_Well"].isin(negatives.tolist())
    if not here.any():
        return "all wells (no nuclei in negative controls)", measured
    wells = measured.loc[here, "Metadata_Well"].nunique()
    return f"{wells} negative-control well{'s' if wells > 1 else ''}", measured[here]


def summarise_wells(
    nuclei: pd.DataFrame,
    fields: pd.DataFrame,
    plate_map: pd.DataFrame | None,
    settings: ReadoutSettings,
    *,
    peak: DnaPeak | None = None,
    plate: str | None = None,
) -> pd.DataFrame:
    """Well table: one row per well of ``fields``, in plate order, whatever became of it.

    Args:
        nuclei: the nucleus table, with Metadata_Well and the measured columns.
        fields: one row per expected field: well, field, status (ok, empty, failed, pending), reason.
        plate_map: frame with well, role, compound, dose, unit and further columns, or None.
        settings: thresholds and the handling of nuclei at the border.
        peak: the plate's 2N peak; found here when None.
        plate: Metadata_Plate; by default that of the first nucleus.

    Means and medians leave NaN and infinite values out; without any value they are NaN. Raises ResultsError
    when the table holds nuclei of a well that ``fields`` does not expect.
    """
    wells = sorted(set(fields["well"]), key=WellId.parse)
    peak = plate_peak(nuclei, plate_map, settings) if peak is None else peak
    codes = _codes(nuclei["Metadata_Well"], wells)
    keep = measured_nuclei(nuclei.assign(_code=codes), settings)
    kept_codes = keep["_code"].to_numpy()
    table = _metadata(wells, nuclei, plate_map, plate)
    table = table.join(_status(fields, wells)).reset_index(drop=True)
    table["Count_Nuclei"] = np.bincount(codes, minlength=len(wells))
    table["Count_Nuclei_Measured"] = np.bincount(kept_codes, minlength=len(wells))
    empty = (table["Status"] == "ok") & (table["Count_Nuclei"] == 0)
    table.loc[empty, "Status"] = "empty"
    fractions = _fractions(keep, kept_codes, len(wells), peak, settings)
    features = _features(keep.drop(columns="_code"), kept_codes, len(wells))
    return pd.concat([table, fractions, features], axis=1)


def _codes(names: pd.Series, wells: list[str]) -> npt.NDArray[np.intp]:
    codes = pd.Index(wells).get_indexer(pd.Index(names.astype(object)))
    if (codes < 0).any():
        stranger = names.iloc[int(np.argmax(codes < 0))]
        raise ResultsError(
            f"the nucleus table has nuclei of well {stranger}, which is not among the {len(wells)} expected "
            "wells; the folder holds parts of another run, remove them or choose another folder"
        )
    return codes


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

    partial: some fields done, others failed or pending; failed: none done and one or more failed; empty: no
    nucleus. An empty field counts as ok: it was looked at.
    """
    done = fields["status"].isin(["ok", "empty"])
    counts = pd.DataFrame(
        {
            "well": fields["well"],
            "Fields_Expected": 1,
            "Fields_Ok": done,
            "failed": fields["status"] == "failed",
        }
    )
    table = counts.groupby("well").sum().reindex(wells).astype(np.int64)
    choices = [table["Fields_Ok"] == table["Fields_Expected"], table["Fields_Ok"] > 0, table["failed"] > 0]
    status = np.select(choices, ["ok", "partial", "failed"], default="pending")
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


def _fractions(
    keep: pd.DataFrame, codes: npt.NDArray[np.intp], n_wells: int, peak: DnaPeak, settings: ReadoutSettings
) -> pd.DataFrame:
    """Cell-cycle fractions (fitted, see phases.py) and the share of nuclei with a high sensor ratio."""
    weights = np.full((n_wells, len(PHASES)), np.nan)
    if peak.usable and DNA_CONTENT in keep:
        content = peak.content_n(keep[DNA_CONTENT])
        order = np.argsort(codes, kind="stable")
        chunks = np.split(content[order], np.cumsum(np.bincount(codes, minlength=n_wells))[:-1])
        weights = fit_weights(np.stack([bin_content(chunk) for chunk in chunks]), peak.shapes())
    columns: dict[str, Floats] = {f"Fraction_{name}": weights[:, i] for i, name in enumerate(PHASES)}
    columns["Fraction_4N"] = columns["Fraction_G2M"]
    columns["Fraction_SensorHigh"] = np.full(n_wells, np.nan)
    if SENSOR_RATIO in keep:
        ratio = keep[SENSOR_RATIO].to_numpy(dtype=np.float64)
        known = np.bincount(codes, weights=np.isfinite(ratio), minlength=n_wells)
        high = np.bincount(codes, weights=np.isfinite(ratio) & (ratio > settings.sensor_threshold), minlength=n_wells)
        columns["Fraction_SensorHigh"] = np.divide(high, known, out=np.full(n_wells, np.nan), where=known > 0)
    return pd.DataFrame(columns)


def _features(keep: pd.DataFrame, codes: npt.NDArray[np.intp], n_wells: int) -> pd.DataFrame:
    """Mean_ and Median_ of every numeric feature; sensor columns are there (NaN) even without a sensor."""
    names = [
        name
        for name in keep.columns
        if not name.startswith("Metadata_")
        and pd.api.types.is_numeric_dtype(keep[name])
        and not pd.api.types.is_bool_dtype(keep[name])
    ]
    order = np.argsort(codes, kind="stable")
    bounds = np.cumsum(np.bincount(codes, minlength=n_wells))[:-1]
    columns: dict[str, Floats] = {}
    for name in [*names, *(f for f in SENSOR_FEATURES if f not in names)]:
        if name not in names:
            columns[f"Mean_{name}"] = columns[f"Median_{name}"] = np.full(n_wells, np.nan)
            continue
        chunks = np.split(keep[name].to_numpy(dtype=np.float64)[order], bounds)
        finite = [chunk[np.isfinite(chunk)] for chunk in chunks]
        columns[f"Mean_{name}"] = np.array([c.mean() if c.size else np.nan for c in finite])
        columns[f"Median_{name}"] = np.array([np.median(c) if c.size else np.nan for c in finite])
    return pd.DataFrame(columns)


def _identifier(channel: str) -> str:
    """Channel name as it stands in column names: letters and digits only."""
    return "".join(c for c in channel if c.isalnum())
