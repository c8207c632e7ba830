"""What the page shows of a plate with time: traces of single cells, lineages, responses, the quality of tracks.

Long movies are thinned and of large plates fewer traces are kept, so that the page stays of one size; the tables of the
results have all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcs.plate.times import FrameTimes
from hcs.report.embed import data_uri, float32_text, plain, table_data, uint16_text

LABEL, SITE = "Nuclei_TrackObjects_Label", "Metadata_Site"
TIMEPOINT = "Metadata_Timepoint"
RATIO, AREA = "Nuclei_Sensor_Ratio", "Nuclei_AreaShape_Area"
TRACE_COLUMNS = (SITE, TIMEPOINT, LABEL, RATIO, AREA)
"""Columns of the nucleus table that traces are made of."""
_MOST_VALUES = 150_000
"""Values of all traces of a page together."""
_LEAST_VALUES = 400
_MOST_FRAMES = 240
_MOST_CONDITIONS = 80
_MISSING = 65_535
_SCALE = 1000.0
_RESPONSES = (
    "Median_Nuclei_Sensor_Ratio",
    "Mean_Nuclei_Sensor_Ratio",
    "Mean_NucleusCytoplasm",
    "Fraction_SensorHigh",
    "Count_Nuclei",
)
_NAMES = ("divided", "start", "entered", "appeared", "split")
_ENDS = ("end", "divided", "left", "died", "lost", "merged")


@dataclass(frozen=True, slots=True, eq=False)
class OverTime:
    """The plain data of the page's section on time; ``strips`` are film strips by well."""

    frames: int
    times: FrameTimes
    wells: dict[str, dict[str, object]]
    what: str
    response: dict[str, object]
    zprime: pd.DataFrame
    windows: pd.DataFrame
    quality: pd.DataFrame
    strips: dict[str, Strip] = field(default_factory=dict)
    light: tuple[float | None, float | None] = (None, None)
    """Minutes at which a stimulus, or light, comes, and at which the light ends; None where that is not stated."""

    @property
    def response_names(self) -> tuple[str, ...]:
        """Readouts that are shown over time."""
        shown = self.response["readouts"]
        of_zprime = list(self.zprime["Readout"].unique()) if "Readout" in self.zprime else []
        return tuple(dict.fromkeys(map(str, [*(shown if isinstance(shown, list) else []), *of_zprime])))

    def data(self) -> dict[str, object]:
        """As JSON has it."""
        return {
            "frames": self.frames,
            "intervalMin": self.times.interval_min,
            "timesMin": None if self.times.times_min is None else list(self.times.times_min),
            "stimulusMin": self.light[0],
            "lightOffMin": self.light[1],
            "what": self.what,
            "scale": _SCALE,
            "wells": self.wells,
            "response": self.response,
            "zprime": table_data(self.zprime) if len(self.zprime) else None,
            "windows": table_data(self.windows) if len(self.windows) else None,
            "quality": table_data(self.quality) if len(self.quality) else None,
            "strips": {well: strip.data() for well, strip in self.strips.items()},
        }


@dataclass(frozen=True, slots=True)
class Strip:
    """The film strip of one track: its pictures side by side, a row a channel."""

    content: bytes
    """WebP."""
    channels: tuple[str, ...]
    site: int
    track: int
    frames: tuple[int, ...]

    def data(self) -> dict[str, object]:
        """As JSON has it."""
        return {
            "image": data_uri(self.content, "webp"),
            "channels": list(self.channels),
            "site": self.site,
            "track": self.track,
            "frames": list(self.frames),
        }


def over_time(
    tables: Iterable[tuple[str, pd.DataFrame]],
    tracks: pd.DataFrame,
    wells: pd.DataFrame,
    *,
    frames: int,
    times: FrameTimes,
    response: pd.DataFrame,
    zprime: pd.DataFrame,
    windows: pd.DataFrame,
    strips: Mapping[str, Strip],
    light: tuple[float | None, float | None] = (None, None),
) -> OverTime:
    """The section's data, of ``tables`` (well, nuclei of all frames with TRACE_COLUMNS as far as there are), the tables
    of ``tracks`` and ``wells``, and, where they were made, the ``response`` by well and frame and Z' over time."""
    budget = max(_LEAST_VALUES, _MOST_VALUES // max(len(wells), 1))
    found: dict[str, dict[str, object]] = {}
    what = "sensor ratio"
    by_well = dict(iter(tracks.groupby("Metadata_Well"))) if len(tracks) else {}
    for well, nuclei in tables:
        if LABEL not in nuclei or well not in by_well:
            continue
        what = "sensor ratio" if RATIO in nuclei else "nuclear area, px"
        own = by_well[well]
        found[well] = traces(nuclei, own, budget, frames) | {"lineage": largest_lineage(own), "tracks": len(own)}
    return OverTime(
        frames=frames,
        times=times,
        wells=found,
        what=what,
        response=responses(response, wells),
        zprime=_thinned(zprime),
        windows=windows,
        quality=track_quality(tracks),
        strips=dict(strips),
        light=light,
    )


def _thinned(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table over time that a page has room for: at most 240 frames of each readout."""
    if TIMEPOINT not in table or table.empty:
        return table
    step = max(1, -(-(int(table[TIMEPOINT].max()) + 1) // _MOST_FRAMES))
    return table[table[TIMEPOINT] % step == 0]


def traces(nuclei: pd.DataFrame, tracks: pd.DataFrame, budget: int, frames: int) -> dict[str, object]:
    """Traces of a well's longest tracks, those born in a division first, at most ``budget`` values together."""
    value, scale = (RATIO, _SCALE) if RATIO in nuclei else (AREA, 1.0)
    step = max(1, -(-frames // _MOST_FRAMES))
    ordered = tracks.assign(born=tracks["Track_Began"] == "divided").sort_values(
        ["born", "Track_Frames", SITE, "Track_Label"], ascending=[False, False, True, True]
    )
    born, rest = ordered[ordered["born"]], ordered[~ordered["born"]]
    chosen = pd.concat([_within(born, budget * 2 // 3, step), _within(rest, budget // 3, step)])
    groups = dict(iter(nuclei.groupby([SITE, LABEL], sort=False)))
    lengths, firsts, values, ends = [], [], [], []
    named = [chosen[name].tolist() for name in (SITE, "Track_Label", "Track_FirstFrame", "Track_LastFrame", "born")]
    for site, label, first, last, is_born in zip(*named, strict=True):
        own = groups.get((site, label))
        if own is None:
            continue
        line = np.full(last - first + 1, np.nan)
        line[own[TIMEPOINT].to_numpy() - first] = own[value].to_numpy(np.float64)
        thin = line[::step]
        lengths.append(len(thin))
        firsts.append(first)
        values.append(thin)
        ends.append(int(is_born))
    every = np.concatenate([*values, np.empty(0)])
    coded = np.where(np.isfinite(every), np.clip(np.nan_to_num(every) * scale, 0, _MISSING - 1), _MISSING)
    return {
        "step": step,
        "lengths": uint16_text(lengths),
        "firsts": uint16_text(firsts),
        "values": uint16_text(np.rint(coded)),
        "born": "".join(map(str, ends)),
        "median": float32_text(_medians(nuclei, value, frames, step)),
    }


def _within(tracks: pd.DataFrame, budget: int, step: int) -> pd.DataFrame:
    """The first tracks whose values together are within the budget."""
    lengths = (tracks["Track_LastFrame"] - tracks["Track_FirstFrame"]) // step + 1
    return tracks[lengths.cumsum() <= budget]


def _medians(nuclei: pd.DataFrame, value: str, frames: int, step: int) -> npt.NDArray[np.float64]:
    """Median over all nuclei of a well of each frame that is kept."""
    medians = nuclei.groupby(TIMEPOINT)[value].median().reindex(range(0, frames, step))
    return medians.to_numpy(np.float64)


def largest_lineage(tracks: pd.DataFrame) -> list[list[object]]:
    """The lineage of most tracks in a well: label, parent, first and last frame, how it ended, of each track."""
    if "Track_Lineage" not in tracks or tracks.empty:
        return []
    sizes = tracks.groupby([SITE, "Track_Lineage"]).size()
    site, lineage = max(sizes.index, key=lambda key: (sizes[key], -key[0], -key[1]))
    own = tracks[(tracks[SITE] == site) & (tracks["Track_Lineage"] == lineage)]
    columns = ["Track_Label", "Track_Parent", "Track_FirstFrame", "Track_LastFrame"]
    return [
        [*(int(v) for v in row[:4]), str(row[4])]
        for row in own[[*columns, "Track_Ended"]].itertuples(index=False, name=None)
    ]


def responses(frames: pd.DataFrame, wells: pd.DataFrame) -> dict[str, object]:
    """Readouts over time of every condition (role, compound, dose): the median over its wells, thinned to 240
    frames."""
    names = [name for name in _RESPONSES if name in frames]
    if not names or "Metadata_Role" not in wells:
        return {"readouts": [], "conditions": [], "times": []}
    step = max(1, -(-(int(frames[TIMEPOINT].max()) + 1) // _MOST_FRAMES))
    kept = frames[frames[TIMEPOINT] % step == 0]
    places = sorted(kept[TIMEPOINT].unique())
    keys = ["Metadata_Role", "Metadata_Compound", "Metadata_Dose", "Metadata_Unit"]
    known = [key for key in keys if key in wells]
    both = kept.merge(wells[["Metadata_Well", *known]], on="Metadata_Well", how="inner")
    both = both[both["Metadata_Role"].isin(["negative", "positive", "sample"])]
    conditions: list[dict[str, object]] = []
    for values, own in both.groupby(known, dropna=False, sort=True):
        if len(conditions) == _MOST_CONDITIONS:
            break
        medians = own.groupby(TIMEPOINT)[names].median().reindex(places)
        named = {key.removeprefix("Metadata_").lower(): plain(value) for key, value in zip(known, values, strict=True)}
        conditions.append(
            named
            | {"wells": int(own["Metadata_Well"].nunique())}
            | {"values": {name: float32_text(medians[name].to_numpy(np.float64)) for name in names}}
        )
    return {"readouts": names, "conditions": conditions, "times": [int(place) for place in places]}


def track_quality(tracks: pd.DataFrame) -> pd.DataFrame:
    """One row a well: tracks, their median length and quality, how they began and ended, jumps of area."""
    if tracks.empty:
        return pd.DataFrame()
    rows = []
    for well, own in tracks.groupby("Metadata_Well", sort=False):
        began, ended = own["Track_Began"].value_counts(), own["Track_Ended"].value_counts()
        seen = own["Track_Frames"].sum()
        rows.append(
            {
                "Metadata_Well": str(well),
                "Tracks": len(own),
                "MedianFrames": float(own["Track_Frames"].median()),
                "MedianQuality": float(own["Track_Quality"].median()),
                "AreaJumps": float(own["Track_AreaJumps"].sum() / max(seen, 1)),
                "Gaps": int(own["Track_Gaps"].sum()),
                **{f"Began_{name}": int(began.get(name, 0)) for name in _NAMES},
                **{f"Ended_{name}": int(ended.get(name, 0)) for name in _ENDS},
            }
        )
    return pd.DataFrame(rows)
