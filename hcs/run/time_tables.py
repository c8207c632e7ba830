"""The tables of a plate with time that a plate without has not: its frames and its tracks."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from hcs.columns import TIME_COLUMNS, Column
from hcs.readout.tables import TABLES
from hcs.readout.wells.flag_columns import field_columns
from hcs.store.results.folder import Results
from hcs.store.results.ledger import ledger_frame

_TIMEPOINT = TIME_COLUMNS[0]


def time_tables(results: Results) -> dict[str, pd.DataFrame]:
    """Tables by name: ``timepoints``, one row a frame of every field, and ``tracks``, where any field is linked."""
    if results.record.time is None:
        return {}
    timepoints = ledger_frame(results.frame_entries(), timepoints=True)
    times = [results.record.frame_times.minutes(int(frame)) for frame in timepoints[_TIMEPOINT.name]]
    timepoints.insert(list(timepoints.columns).index(_TIMEPOINT.name) + 1, TIME_COLUMNS[1].name, times)
    tracks = results.track_parts()
    return {"timepoints": timepoints} | ({"tracks": tracks.read()} if tracks.parts else {})


def timepoint_notes(results: Results, *, exclude_flagged: bool) -> tuple[str, ...]:
    """Which frame the tables of wells are of, and what is left out of them alone; ``results`` are of that frame."""
    record = results.record
    if record.time is None:
        return ()
    after = record.frame_times.minutes(results.frame)
    minutes = "" if math.isnan(after) else f", {after:g} min after the first"
    return (
        f"Tables of wells, conditions and fields, and pictures, are of frame {results.frame} of "
        f"{record.usual_frames}{minutes}: readout.timepoint chooses another.",
        *(("Fields with a flag are left out of these tables, and not of what is read from tracks.",) * exclude_flagged),
    )


def time_columns(frames: Mapping[str, pd.DataFrame], channels: tuple[str, ...]) -> dict[str, tuple[Column, ...]]:
    """Columns of the tables that `time_tables` made."""
    found: dict[str, tuple[Column, ...]] = {}
    if "timepoints" in frames:
        named = {column.name: column for column in TIME_COLUMNS}
        others = field_columns(frames["timepoints"].drop(columns=list(named)), channels)
        named |= {column.name: column for column in others}
        found["timepoints"] = tuple(named[str(name)] for name in frames["timepoints"].columns)
    if "tracks" in frames:
        found["tracks"] = TABLES["tracks"].columns
    return found


def with_timepoint(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Columns of a table of single nuclei, of a plate with time: the frame comes before the nucleus' number."""
    place = [column.name for column in columns].index("Metadata_ObjectNumber")
    return (*columns[:place], _TIMEPOINT, *columns[place:])
