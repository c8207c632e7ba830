"""From the nucleus table to the readout tables, the column dictionary and the report; touches no image but one."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from hcs.config import Config, parse_config
from hcs.errors import HcsError
from hcs.measure.columns import Column, column_dictionary
from hcs.plate.keys import FieldKey
from hcs.readout.columns import COMPOUND_COLUMNS, PLATE_COLUMNS, well_columns
from hcs.readout.readouts import Readouts, make_readouts
from hcs.readout.settings import ReadoutSettings
from hcs.report.html import write_report
from hcs.report.overlay import overlay_figure
from hcs.store.atomic import replacing
from hcs.store.platemap import read_plate_map
from hcs.store.results import DNA_CONTENT_N, Results, open_results
from hcs.store.table import write_frame

_KEY_COLUMNS = (
    Column("Metadata_Plate", "string", "", "name of the plate", "plate metadata"),
    Column("Metadata_Well", "string", "", "well, row letters and two-digit column", "plate metadata"),
    Column("Metadata_Site", "int32", "", "field: its 0-based position in the well's metadata", "plate metadata"),
)
_CONTENT_N = Column(
    DNA_CONTENT_N,
    "float64",
    "N",
    "DNA content in units of N: 2 x Nuclei_DNA_Content / DNA_TwoN of plate.parquet; NaN without a usable 2N peak",
    "hcs",
)


def finish(out: Path, settings: ReadoutSettings | None = None) -> Readouts:
    """Make wells, compounds, plate and fields tables, columns.csv and report.html of a results folder.

    ``settings`` replaces the readout settings that the run was made with. Works on a run that is still going on or was
    stopped: fields that are not done count as pending.
    """
    results = open_results(out)
    config = parse_config(results.record["identity"]["config"], source=str(out / "run.json"))
    fields = results.fields()
    map_path = out / "platemap.csv"
    plate_map = read_plate_map(map_path).frame if map_path.exists() else None
    readouts = make_readouts(
        _nuclei(results),
        _for_readout(fields),
        plate_map,
        settings or config.readout,
        plate=results.record["identity"]["plate"]["name"],
        dna=results.record["channels"]["dna"],
    )
    write_frame(out / "fields.parquet", fields)
    write_frame(out / "wells.parquet", readouts.wells)
    write_frame(out / "compounds.parquet", readouts.compounds)
    write_frame(out / "plate.parquet", readouts.plate)
    _write_columns(out, results.record["channels"], readouts)
    _write_report(out, results, config, readouts, fields)
    return readouts


def _nuclei(results: Results) -> pd.DataFrame:
    """The nucleus table; without rows where no field has been finished."""
    if (results.folder / "nuclei").is_dir():
        return results.nuclei()
    channels = results.record["channels"]
    return empty_nuclei(tuple(channels["names"]), channels["dna"], channels["sensor"])


def empty_nuclei(channels: tuple[str, ...], dna: str, sensor: str | None) -> pd.DataFrame:
    """The nucleus table of a plate without nuclei."""
    types = {c.name: c.dtype for c in (*_KEY_COLUMNS, *column_dictionary(channels, dna, sensor))}
    return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in types.items()})


def _for_readout(fields: pd.DataFrame) -> pd.DataFrame:
    names = {
        "Metadata_Well": "well",
        "Metadata_Site": "field",
        "Status": "status",
        "Reason": "reason",
        "Count_Nuclei": "n_nuclei",
    }
    return fields[list(names)].rename(columns=names)


def _write_columns(out: Path, channels: dict[str, Any], readouts: Readouts) -> None:
    """The column dictionary of all tables: table, name, dtype, unit, definition, source."""
    nucleus = column_dictionary(tuple(channels["names"]), channels["dna"], channels["sensor"])
    tables = {
        "nuclei": (*_KEY_COLUMNS, *nucleus),
        "nuclei, by hcs.open_results": (_CONTENT_N,),
        "wells": well_columns(readouts.wells, nucleus=nucleus),
        "compounds": COMPOUND_COLUMNS,
        "plate": PLATE_COLUMNS,
    }
    rows = [{"table": table} | asdict(column) for table, columns in tables.items() for column in columns]
    with replacing(out / "columns.csv") as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)


def _write_report(out: Path, results: Results, config: Config, readouts: Readouts, fields: pd.DataFrame) -> None:
    overlay = None
    example = _example_field(fields)
    if example is not None and config.labels != "none":
        channels = results.record["channels"]
        shown = channels["names"].index(channels["nuclei"])
        try:
            overlay = overlay_figure(
                results.image(str(example.well), example.field, shown),
                results.labels(str(example.well), example.field),
                title=f"{example}, {channels['nuclei']}",
            )
        except HcsError:
            overlay = None  # the plate may have moved since the run; the numbers do not need it
    write_report(
        out / "report.html",
        readouts,
        plate=results.record["identity"]["plate"]["name"],
        provenance=_provenance(results.record),
        overlay=overlay,
    )


def _example_field(fields: pd.DataFrame) -> FieldKey | None:
    """The field with the median number of nuclei among those that have any."""
    found = fields[fields["Count_Nuclei"] > 0].sort_values(["Count_Nuclei", "Metadata_Well"], kind="stable")
    if found.empty:
        return None
    row = found.iloc[len(found) // 2]
    return FieldKey.parse(f"{row['Metadata_Well']}/{row['Metadata_Site']}")


def _provenance(record: dict[str, Any]) -> dict[str, str]:
    """The record as label → text, for the report."""
    texts = {
        "Command": record["command"],
        "Plate": record["plate_path"],
        "Model": f"{record['model']['name']}, sha256 {record['model']['sha256']}",
        "Channels": ", ".join(record["channels"]["names"])
        + f" (DNA {record['channels']['dna']}, sensor {record['channels']['sensor'] or 'none'})",
        "Machine": ", ".join(f"{k} {v}" for k, v in record["machine"].items()),
        "Versions": ", ".join(f"{k} {v}" for k, v in record["versions"].items()),
        "Configuration": str(record["identity"]["config"]),
    }
    if "times" in record:
        texts["Time"] = f"{record['times']['started']}, {record['times']['wall_s']} s"
    return texts
