"""Readouts of wells from tracks, one well's nuclei at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from hcs.readout.columns import as_table
from hcs.readout.live.columns import CYCLE_COLUMNS, FRAME_COLUMNS, LEADING, LIVE_WELL_COLUMNS
from hcs.readout.live.growth import area_growth, find_growth, watched_min
from hcs.readout.live.light import find_light, nucleus_over_cytoplasm
from hcs.readout.live.rise import UNDECIDED, find_rise
from hcs.readout.live.settings import LiveSettings
from hcs.readout.live.stimulus import find_answer
from hcs.readout.live.survival import Floats, kaplan_meier
from hcs.readout.live.traces import SITE, TIMEPOINT, Trace, minutes, traces
from hcs.readout.settings import ReadoutSettings
from hcs.readout.wells.features import ByWell

__all__ = ["LEADING", "LiveReadouts", "live_readouts"]
_SENSOR, _MIXTURE, _AREA = "Nuclei_Sensor_Ratio", "Nuclei_Sensor_RatioMixture", "Nuclei_AreaShape_Area"
_WELL, _TRACK = "Metadata_Well", "Track_Label"
_LEAST_TIMES = 2
_NO_INTERVAL = "the interval of the frames is not known (give --interval-min)"
Numbers = dict[str, float]


@dataclass(frozen=True, slots=True)
class LiveReadouts:
    """What is read from the tracks of a plate."""

    wells: pd.DataFrame
    """Metadata_Well and ``LIVE_WELL_COLUMNS``, one row a well."""
    frames: pd.DataFrame
    """``FRAME_COLUMNS``, one row a well and frame."""
    cycles: pd.DataFrame
    """``CYCLE_COLUMNS``, one row a cell born in a division."""
    notes: tuple[str, ...]


def live_readouts(
    tables: ByWell,
    tracks: pd.DataFrame,
    wells: list[str],
    settings: ReadoutSettings,
    *,
    interval_min: float | None,
    threshold: float,
) -> LiveReadouts:
    """Readouts from tracks, of each of ``wells``; a well that ``tables`` does not give has NaN and a reason.

    Args:
        tables: wells and their nuclei of all frames, with the columns of tracks.
        tracks: the plate's table of tracks, with Metadata_Well and Metadata_Site.
        wells: all wells of the plate, in its order.
        settings: rules, among them ``settings.live``.
        interval_min: minutes between frames where the nuclei have no time of their own.
        threshold: sensor ratio from which a nucleus counts in Fraction_SensorHigh.
    """
    rows: dict[str, dict[str, object]] = {}
    frames, cycles = [], []
    groups = dict(tuple(tracks.groupby(_WELL, sort=False))) if len(tracks) else {}
    for well, nuclei in tables:
        if not len(nuclei):
            continue
        own = groups.get(well, tracks.iloc[:0])
        over_time = _frames(well, nuclei, interval_min, threshold)
        born = _cycles(well, nuclei, own, settings.live, interval_min=interval_min, time_of=_time_of(over_time))
        rows[well] = _row(nuclei, own, over_time, born, settings=settings, interval_min=interval_min)
        frames.append(over_time)
        cycles.append(born)
    absent = {"Live_Reason": "no nuclei"}
    table = as_table([rows.get(well, absent) for well in wells], LIVE_WELL_COLUMNS)
    table.insert(0, _WELL, wells)
    frame_table, cycle_table = (
        pd.concat(parts, ignore_index=True) if parts else as_table([], columns)
        for parts, columns in ((frames, FRAME_COLUMNS), (cycles, CYCLE_COLUMNS))
    )
    return LiveReadouts(table, frame_table, cycle_table, _notes(table, cycle_table, settings.live))


def _frames(well: str, nuclei: pd.DataFrame, interval_min: float | None, threshold: float) -> pd.DataFrame:
    """Counts and averages of one well by frame."""
    names = [name for name in (_SENSOR, _MIXTURE, _AREA, "Nuclei_DNA_Content") if name in nuclei]
    rows = []
    for frame, members in nuclei.assign(_Time=minutes(nuclei, interval_min)).groupby(TIMEPOINT, sort=True):
        fields = members[SITE].nunique()
        row: dict[str, object] = {
            _WELL: well,
            TIMEPOINT: frame,
            "Metadata_Time_min": members["_Time"].mean(),
            "Count_Fields": fields,
            "Count_Nuclei": len(members),
            "Count_PerField": len(members) / fields,
        }
        for name in names:
            values = members[name].to_numpy(dtype=np.float64)
            values = values[np.isfinite(values)]
            if values.size:
                row[f"Mean_{name}"], row[f"Median_{name}"] = values.mean(), np.median(values)
                if name == _SENSOR:
                    row["Fraction_SensorHigh"] = float((values > threshold).mean())
                    if (values > 0).any():
                        row["Mean_NucleusCytoplasm"] = float((1.0 / values[values > 0]).mean())
        rows.append(row)
    return as_table(rows, FRAME_COLUMNS)


def _time_of(over_time: pd.DataFrame) -> dict[int, float]:
    """Minutes of every frame of a well."""
    return dict(zip(over_time[TIMEPOINT].tolist(), over_time["Metadata_Time_min"].tolist(), strict=True))


def _cycles(
    well: str,
    nuclei: pd.DataFrame,
    tracks: pd.DataFrame,
    settings: LiveSettings,
    *,
    interval_min: float | None,
    time_of: dict[int, float],
) -> pd.DataFrame:
    """The cells of one well that were born in a division and whose tracks are read, until they die."""
    good = tracks[(tracks["Track_Quality"] >= settings.min_quality) & (tracks["Track_Parent"] > 0)]
    if not len(good):
        return as_table([], CYCLE_COLUMNS)
    children = tracks[tracks["Track_Parent"] > 0]
    next_birth = children.groupby([SITE, "Track_Parent"])["Track_FirstMin"].min()
    ratio = {(trace.site, trace.track): trace for trace in _traces(nuclei, _SENSOR, settings, interval_min)}
    rows = []
    for row in good.to_dict("records"):
        key = (int(row[SITE]), int(row[_TRACK]))
        divided = row["Track_Ended"] == "divided"
        until = float(next_birth[key]) if divided and key in next_birth.index else float(row["Track_LastMin"])
        died = time_of.get(int(row["Track_DeathFrame"]), np.inf) if row["Track_Ended"] == "died" else np.inf
        until = min(until, died)
        rows.append(
            {
                _WELL: well,
                SITE: row[SITE],
                _TRACK: row[_TRACK],
                "Track_Parent": row["Track_Parent"],
                "Birth_Min": row["Track_FirstMin"],
                "Watched_Min": until - row["Track_FirstMin"],
                "Divided": divided,
                "Ended": row["Track_Ended"],
                **_rise(ratio.get(key), float(row["Track_FirstMin"]), died, settings),
            }
        )
    return as_table(rows, CYCLE_COLUMNS)


def _rise(trace: Trace | None, birth: float, died: float, settings: LiveSettings) -> dict[str, object]:
    """What CDK2 does until the cell dies: a dead nucleus keeps no sensor out, and looks as if it had risen."""
    alive = None if trace is None else trace.time < died
    if trace is None or alive is None or not alive.any():
        return {"Class": ""}
    rise = find_rise(trace.time[alive] - birth, trace.value[alive], settings)
    return {"Class": rise.kind, "Rise_Min": rise.begins, "Unrisen_Min": rise.unrisen, "Ratio_Lowest": rise.lowest}


def _traces(nuclei: pd.DataFrame, column: str, settings: LiveSettings, interval_min: float | None) -> list[Trace]:
    return list(
        traces(
            nuclei,
            column,
            interval_min=interval_min,
            min_quality=settings.min_quality,
            smooth_frames=settings.smooth_frames,
        )
    )


def _row(
    nuclei: pd.DataFrame,
    tracks: pd.DataFrame,
    over_time: pd.DataFrame,
    cycles: pd.DataFrame,
    *,
    settings: ReadoutSettings,
    interval_min: float | None,
) -> dict[str, object]:
    """The readouts of one well, and why some are NaN."""
    live = settings.live
    counts = _track_counts(tracks, live)
    if over_time["Metadata_Time_min"].notna().sum() < _LEAST_TIMES:
        return {**counts, "Live_Reason": _NO_INTERVAL}
    parts = [
        _cycle_numbers(cycles, settings),
        _class_numbers(cycles, live),
        _growth_numbers(over_time, tracks, settings),
        _movement(nuclei, tracks, live, interval_min),
    ]
    parts += [_answer_numbers(nuclei, column, suffix, live, interval_min) for column, suffix in _RATIOS]
    parts.append(_light_numbers(nuclei, live, interval_min))
    numbers = {name: value for values, _ in parts for name, value in values.items()}
    reasons = dict.fromkeys(reason for _, reason in parts if reason)
    return {**counts, **numbers, "Live_Reason": "; ".join(reasons)}


_RATIOS = ((_SENSOR, ""), (_MIXTURE, "_Mixture"))


def _track_counts(tracks: pd.DataFrame, settings: LiveSettings) -> Numbers:
    links = float((tracks["Track_Frames"] - 1).sum())
    return {
        "Count_Tracks": float(len(tracks)),
        "Count_TracksRead": float((tracks["Track_Quality"] >= settings.min_quality).sum()),
        "Count_TracksLost": float((tracks["Track_Ended"] == "lost").sum()),
        "Count_TracksMerged": float((tracks["Track_Ended"] == "merged").sum()),
        "Count_TracksSplit": float((tracks["Track_Began"] == "split").sum()),
        "Fraction_AreaJumps": float(tracks["Track_AreaJumps"].sum()) / links if links else float("nan"),
    }


def _cycle_numbers(cycles: pd.DataFrame, settings: ReadoutSettings) -> tuple[Numbers, str]:
    watched = kaplan_meier(cycles["Watched_Min"].to_numpy(np.float64), cycles["Divided"].to_numpy(bool))
    if watched.cells < settings.live.min_tracks:
        return {}, f"cycle: {watched.cells} cells born and tracked, {settings.live.min_tracks} needed"
    low, high = watched.median_interval(settings.confidence)
    numbers = {"Live_CycleMin": watched.median(), "Live_CycleMin_Low": low, "Live_CycleMin_High": high}
    if np.isfinite(numbers["Live_CycleMin"]):
        return numbers, ""
    return numbers, f"cycle: fewer than half of the {watched.cells} cells born would have divided while watched"


def _class_numbers(cycles: pd.DataFrame, settings: LiveSettings) -> tuple[Numbers, str]:
    """Shares of the classes from the time to the rise, censored, so that cells watched briefly bias none."""
    seen = cycles[cycles["Class"] != ""]
    rises = seen["Rise_Min"].notna().to_numpy(bool)
    time = seen["Rise_Min"].where(seen["Rise_Min"].notna(), seen["Unrisen_Min"]).to_numpy(np.float64)
    unrisen = kaplan_meier(time, rises)
    if unrisen.cells < settings.min_tracks:
        return {}, f"CDK2 after mitosis: {unrisen.cells} cells born and tracked, {settings.min_tracks} needed"
    early, late = unrisen.at(settings.early_min), unrisen.at(settings.low_min)
    decided = int((time >= settings.low_min).sum() + rises.sum())
    numbers = {"Live_RiseMin": unrisen.median(), "Fraction_LiveInc": 1 - early}
    if decided < settings.min_tracks or not np.isfinite(late):
        return numbers, (
            f"CDK2-low and emerging: {decided} cells are watched until they rise or for {settings.low_min:g} min, "
            f"{settings.min_tracks} needed"
        )
    classes = {"Fraction_LiveEmerging": early - late, "Fraction_LiveLow": late, "Fraction_LiveReentered": 1 - late}
    return numbers | classes, ""


def _growth_numbers(over_time: pd.DataFrame, tracks: pd.DataFrame, settings: ReadoutSettings) -> tuple[Numbers, str]:
    time, count = (over_time[name].to_numpy(np.float64) for name in ("Metadata_Time_min", "Count_PerField"))
    watched = watched_min(tracks, _time_of(over_time))
    growth = find_growth(time, count, tracks, watched_min=watched, confidence=settings.confidence)
    rate = growth.divisions_per_day
    return {
        "Live_GrowthPerDay": growth.per_day,
        "Live_DoublingHours": growth.doubling_h,
        "Live_DoublingHours_Low": growth.doubling_low_h,
        "Live_DoublingHours_High": growth.doubling_high_h,
        "Live_DivisionsPerDay": rate,
        "Live_DivisionsPerDay_Low": growth.divisions_low,
        "Live_DivisionsPerDay_High": growth.divisions_high,
        "Live_HoursPerDivision": 24 / rate if rate > 0 else float("nan"),
        "Live_DeathsPerDay": growth.deaths_per_day,
    }, f"growth: {growth.reason}" if growth.reason else ""


def _movement(
    nuclei: pd.DataFrame, tracks: pd.DataFrame, settings: LiveSettings, interval_min: float | None
) -> tuple[Numbers, str]:
    good = tracks[(tracks["Track_Quality"] >= settings.min_quality) & (tracks["Track_Frames"] > 1)]
    if len(good) < settings.min_tracks:
        return {}, f"movement: {len(good)} tracks of more than one frame, {settings.min_tracks} needed"
    hours = (good["Track_LastMin"] - good["Track_FirstMin"]).to_numpy(np.float64) / 60
    speed: Floats = good["Track_Path"].to_numpy(np.float64) / hours
    return {
        "Live_SpeedPxPerHour": float(np.median(speed)),
        "Live_AreaGrowthPerHour": area_growth(_traces(nuclei, _AREA, settings, interval_min)),
    }, ""


def _answer_numbers(
    nuclei: pd.DataFrame, column: str, suffix: str, settings: LiveSettings, interval_min: float | None
) -> tuple[Numbers, str]:
    if settings.stimulus_min is None or column not in nuclei:
        return {}, ""
    answer = find_answer(_traces(nuclei, column, settings, interval_min), settings)
    return {
        f"Live_Amplitude{suffix}": answer.amplitude,
        f"Live_HalfMin{suffix}": answer.time_to_half,
        f"Live_DurationMin{suffix}": answer.duration,
        f"Live_AnswerArea{suffix}": answer.area,
    }, f"answer: {answer.reason}" if answer.reason else ""


def _light_numbers(nuclei: pd.DataFrame, settings: LiveSettings, interval_min: float | None) -> tuple[Numbers, str]:
    if settings.stimulus_min is None or _SENSOR not in nuclei:
        return {}, ""
    # A running median would move the crossing of a fast curve; the median over cells is smooth enough.
    cells = _traces(nuclei, _SENSOR, replace(settings, smooth_frames=1), interval_min)
    light = find_light(nucleus_over_cytoplasm(cells), settings)
    return {
        "Live_NucleusCytoplasm": light.before,
        "Live_NuclearLoss": light.loss,
        "Live_ExportHalfMin": light.export_half,
        "Live_RecoveryHalfMin": light.recovery_half,
    }, f"light: {light.reason}" if light.reason else ""


def _notes(wells: pd.DataFrame, cycles: pd.DataFrame, settings: LiveSettings) -> tuple[str, ...]:
    notes = []
    read, all_tracks = wells["Count_TracksRead"].sum(), wells["Count_Tracks"].sum()
    if all_tracks:
        notes.append(
            f"{read:,.0f} of {all_tracks:,.0f} tracks have a quality of {settings.min_quality:g} or more and are read."
        )
    if settings.stimulus_min is None:
        notes.append("No time of a stimulus is stated (readout.live.stimulus_min), so answers to one are NaN.")
    undecided = float((cycles["Class"] == UNDECIDED).mean()) if len(cycles) else 0.0
    if undecided > 0.5:
        notes.append(
            f"{undecided:.0%} of the cells born are not watched until their CDK2 rises or for {settings.low_min:g} "
            "min; their classes are undecided, and shares of classes take that into account."
        )
    return tuple(notes)
