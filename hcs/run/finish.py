"""From the nucleus table to the readout tables, the column dictionary and the report; touches no image but one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import pandas as pd

from hcs.columns import DNA_CONTENT_N, KEY_COLUMNS, TIME_COLUMNS, Column
from hcs.measure.columns import channel_suffixes, column_dictionary
from hcs.readout.columns import well_columns
from hcs.readout.cycle.tables import (
    cycles_table,
    phase_parts,
    sensor_table,
)
from hcs.readout.readouts import Extend, Readouts, make_readouts
from hcs.readout.settings import ReadoutSettings
from hcs.readout.tables import TABLES, fixed_columns
from hcs.readout.wells.by_sensor import CHANNEL_COLUMN, add_by_sensor, by_sensor_notes, read_found_by_ratio
from hcs.readout.wells.classes import fraction_columns
from hcs.readout.wells.dead import FLAG_COLUMN
from hcs.readout.wells.features import ByWell, single_columns
from hcs.readout.wells.flag_columns import field_columns
from hcs.readout.wells.flags import flag_fields, flag_wells
from hcs.readout.wells.left_out import leave_out
from hcs.readout.wells.twins import twin_flags, twin_notes
from hcs.run.checks import empty_nuclei
from hcs.run.classes import ClassWells
from hcs.run.duplicates import SeenTwice, find_seen_twice, find_twins
from hcs.run.live import WELL_COLUMNS, LiveWells, with_leading
from hcs.run.new_map import NewMap, put_map
from hcs.run.page import begin_report, end_report, report_columns
from hcs.run.pictures import PicturesAhead, Submit, one_thread
from hcs.run.registration import registration_notes
from hcs.run.time_tables import time_columns, time_tables, timepoint_notes, with_timepoint
from hcs.run.viewers import ViewersAhead
from hcs.store.atomic import write_text
from hcs.store.location import Location
from hcs.store.mirror import local_copy
from hcs.store.platemap import kept_plate_map
from hcs.store.results.folder import Results, open_results
from hcs.store.results.phases import write_phases
from hcs.store.results.readout_record import COLUMNS, ReadoutRecord
from hcs.store.results.record import RunRecord
from hcs.store.results.sealed import Written
from hcs.store.results.table import write_frame
from hcs.tracks.columns import NUCLEUS_COLUMNS

_CONTENT_N = Column(
    DNA_CONTENT_N,
    "float64",
    "N",
    "DNA content in units of N: 2 x Nuclei_DNA_Content / DNA_TwoN of plate.parquet; NaN without a usable 2N peak",
    "hcs",
)


def finish(
    out: Location,
    settings: ReadoutSettings | None = None,
    *,
    exclude_flagged: bool = False,
    submit: Submit | None = None,
    new_map: NewMap | None = None,
    plate: str | None = None,
) -> Readouts:
    """Make the readout tables, columns.csv, readout.json, report.html and figures/ of a results folder; for one in a
    store this happens in a copy on disk.

    ``settings`` replaces the readout settings that the run was made with; ``exclude_flagged`` leaves fields with a flag
    of image quality out, whatever they say; ``new_map`` takes the place of the run's plate map; ``plate`` says where
    the plate is now. Pictures of the page and tables for viewers are made beside the rest: by idle workers, if
    ``submit`` gives them work, else by a thread. Works on a run that is still going on or was stopped: fields that are
    not done count as pending.
    """
    with local_copy(out) as folder, one_thread() as aside:
        illustrate = partial(PicturesAhead, submit=submit or aside, out=out if submit else None)
        describe = partial(ViewersAhead, submit=submit or aside, out=out if submit else None)
        if new_map is not None:
            put_map(folder, new_map)
        return _finish(
            folder,
            illustrate=illustrate,
            describe=describe,
            settings=settings,
            exclude_flagged=exclude_flagged,
            plate_path=plate,
        )


def _finish(
    out: Path,
    *,
    illustrate: Callable[[Results, pd.DataFrame], PicturesAhead],
    describe: Callable[[Results], ViewersAhead],
    settings: ReadoutSettings | None,
    exclude_flagged: bool,
    plate_path: str | None,
) -> Readouts:
    every_frame = open_results(out, plate=plate_path)
    chosen = settings or every_frame.record.config.readout
    results = every_frame.at_timepoint(chosen.timepoint).as_of_now()
    every_frame = every_frame.as_of_now() if results.record.time is not None else results
    times = time_tables(every_frame)
    live = None
    if results.record.time is not None:
        chosen = with_leading(chosen)
        live = LiveWells(every_frame, times.get("tracks", pd.DataFrame()), chosen)
    classes = ClassWells.of(results, every_frame, out)
    if classes is not None:
        chosen = classes.settings(chosen)
    if exclude_flagged:
        chosen = replace(chosen, exclude_flagged=True)
    channels = results.record.channels
    nuclear = channel_suffixes(channels.names)[channels.nuclei]
    every = _nuclei(results)
    plate_map = kept_plate_map(out, results.record)
    ledger = results.ledger()
    twins = find_twins(results, ledger)
    flags = flag_fields(
        ledger,
        chosen,
        nuclear=nuclear,
        plate_map=None if plate_map is None else plate_map.frame,
        sensor=channels.sensor,
        corrected=results.record.config.illumination not in ("auto", "none"),
        further=twin_flags(ledger, twins),
    )
    flagged = leave_out(every, ledger, flags, chosen)
    pictures = illustrate(results, flagged.fields)
    seen_twice = find_seen_twice(results, flagged.used, chosen)
    nuclei = seen_twice.without(flagged.nuclei)
    extend: Extend | None = live.extend if live else None
    if classes is not None:
        extend = classes.extend(flagged.used, extend)
    readouts = make_readouts(
        nuclei,
        _for_readout(flagged.used),
        None if plate_map is None else plate_map.frame,
        chosen,
        plate=results.record.plate,
        dna=channels.dna,
        tables=_tables(results, flagged.used, seen_twice),
        quality=flagged.used,
        extend=extend,
    )
    wells = seen_twice.counted(flag_wells(readouts.wells, flagged.fields))
    wells, sensor_notes = _by_sensor(results.record, wells, nuclei, chosen)
    notes = (
        sensor_notes
        + registration_notes(results.record.registration, results.record.channels)
        + timepoint_notes(results, exclude_flagged=chosen.exclude_flagged)
        + readouts.notes
        + twin_notes(twins)
        + flagged.notes
        + seen_twice.notes
        + pictures.notes
        + (live.notes if live else ())
        + (classes.notes if classes else ())
    )
    readouts = replace(readouts, wells=wells, notes=notes)
    plate = results.record.plate
    frames = {
        "fields": flagged.fields,
        "quality": flagged.thresholds,
        "wells": readouts.wells,
        "compounds": readouts.compounds,
        "plate": readouts.plate,
        **readouts.screen.frames(),
        "toxicity": readouts.toxicity,
        "dead": readouts.dead,
        **({"duplicates": seen_twice.table} if seen_twice.wanted else {}),
        "cycles": cycles_table(readouts.cycle, plate),
        "sensor": sensor_table(readouts.cycle, plate),
        **({"classes": classes.table} if classes is not None and classes.table is not None else {}),
        **times,
        **(live.tables(readouts.wells, classes.over_time if classes else None) if live else {}),
    }
    files = {f"{name}.parquet": write_frame(out / f"{name}.parquet", frame) for name, frame in frames.items()}
    files |= classes.files if classes is not None else {}
    files |= write_phases(out, plate, phase_parts(readouts.cycle, nuclei))
    files[COLUMNS] = _write_columns(out, results.record, readouts, frames, classes)
    ReadoutRecord(
        run=results.record.run_id,
        settings=asdict(chosen),
        notes=readouts.notes,
        plate_map=results.record.plate_map,
        done=tuple(dict.fromkeys(e.field for r in (results, every_frame) for e in r.entries() if e.done)),
        files=files,
    ).write(out)
    page = begin_report(out, ahead=pictures, nuclei=every)
    viewers = describe(
        open_results(out, plate=plate_path)
    )  # whose work comes after the pictures that the page waits for
    end_report(page)
    return replace(readouts, notes=(*readouts.notes, *viewers.notes()))


def _by_sensor(
    record: RunRecord, wells: pd.DataFrame, nuclei: pd.DataFrame, settings: ReadoutSettings
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The well table, with columns and sentences on what cannot be trusted, where nuclei come from the sensor."""
    if not record.channels.by_sensor:
        return wells, ()
    channel, found = record.channels.nuclei, read_found_by_ratio(record.model.get("found_by_ratio"))
    wells = add_by_sensor(wells, nuclei, settings, channel=channel, found=found)
    model = str(record.model["name"])
    return wells, by_sensor_notes(wells, nuclei, settings, channel=channel, model=model, found=found)


def _nuclei(results: Results) -> pd.DataFrame:
    """The columns of the nucleus table that readouts and report need of all nuclei at once; no rows where no field is
    finished."""
    if results.has_nuclei:
        parts = results.parts()
        stored = parts.columns()
        return parts.read(list(dict.fromkeys(single_columns(stored) + report_columns(stored))))
    return empty_nuclei(_measured(results.record))


def _measured(record: RunRecord) -> tuple[Column, ...]:
    """The columns that the run measured of every nucleus."""
    channels = record.channels
    return column_dictionary(
        channels.names,
        channels.dna,
        channels.sensor,
        channels.cells,
        micronuclei=record.config.micronuclei,
        kinds=record.kinds,
    )


def _tables(results: Results, used: pd.DataFrame, seen_twice: SeenTwice) -> ByWell | None:
    """All columns of the nuclei well by well, so that a plate of any size fits, without those of excluded fields and
    those that another field shows too."""
    if not results.has_nuclei:
        return None
    excluded = used[used["Status"] == "excluded"].groupby("Metadata_Well")["Metadata_Site"].agg(list).to_dict()
    return (
        (
            well,
            seen_twice.without(nuclei[~nuclei["Metadata_Site"].isin(excluded[well])] if well in excluded else nuclei),
        )
        for well, nuclei in results.parts().by_well()
    )


def _for_readout(fields: pd.DataFrame) -> pd.DataFrame:
    names = {
        "Metadata_Well": "well",
        "Metadata_Site": "field",
        "Status": "status",
        "Reason": "reason",
        "Count_Nuclei": "n_nuclei",
        "Fraction_Recorded": "recorded",
    }
    return fields[[name for name in names if name in fields]].rename(columns=names)


def _write_columns(
    out: Path, record: RunRecord, readouts: Readouts, frames: Mapping[str, pd.DataFrame], classes: ClassWells | None
) -> Written:
    """The column dictionary of all tables: table, name, dtype, unit, definition, source."""
    channels, nucleus = record.channels, _measured(record)
    timed = record.time is not None
    tables = {
        "nuclei": (
            *KEY_COLUMNS,
            *(TIME_COLUMNS if timed else ()),
            *((CHANNEL_COLUMN,) if channels.by_sensor else ()),
            *nucleus,
            *(NUCLEUS_COLUMNS if timed else ()),
        ),
        "nuclei, by hcs.open_results": (_CONTENT_N, FLAG_COLUMN) if channels.dna is not None else (),
        "wells": well_columns(
            readouts.wells,
            nucleus=(*nucleus, _CONTENT_N),
            further=(
                *(WELL_COLUMNS if timed else ()),
                *(fraction_columns(classes.names, classes.source) if classes else ()),
            ),
        ),
        **fixed_columns(timed=False),
        "fields": field_columns(frames["fields"], channels.names),
        **(time_columns(frames, channels.names) if timed else {}),
        **(_columns_over_time(classes) if timed else {}),
    }
    rows = [{"table": table} | asdict(column) for table, columns in tables.items() for column in columns]
    text = pd.DataFrame(rows).to_csv(index=False)
    write_text(out / COLUMNS, text)
    return Written.of(text.encode())


def _columns_over_time(classes: ClassWells | None) -> dict[str, tuple[Column, ...]]:
    """Columns of the tables that a plate with time has more, or has with the frame in its key; tracks come only with
    linked fields."""
    fixed = {name: columns for name, columns in fixed_columns(timed=True).items() if name != "tracks"}
    if classes is not None and classes.over_time is not None:
        fixed["frames"] = (*fixed["frames"], *fraction_columns(classes.names, classes.source))
    return {name: with_timepoint(TABLES[name].columns) for name in ("phases", "classes")} | fixed
