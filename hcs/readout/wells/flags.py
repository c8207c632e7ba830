"""Which fields of a plate look unlike the others, by thresholds learned from the plate itself.

Long, because the rules and the limits that hold without a plate to learn from are read together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcs.readout.settings import ReadoutSettings

_SD_OF_MAD = 1.4826
_MOST_NAMED = 5
_OF_STAIN = 0.05
_DONE = ("ok", "empty")
_MOST_MISSING = 0.1
"""Share of a field that may lack before exclude_flagged leaves the field out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """When a field is flagged: further from the plate's median than ``floor`` and so many spreads, on this side."""

    flag: str
    measure: str
    low: bool = False
    high: bool = False
    floor: float
    """Least distance from the median, in the measure's unit, or in octaves where ``log``: nothing nearer is worth a
    word, however alike the fields are."""
    log: bool = False
    excludes: bool = True
    """Whether --exclude-flagged leaves such fields out. Not for the number of cells: a toxic compound would go with
    them."""
    of_cells: bool = False
    """Whether the measure depends on the brightness of nuclei. In other channels than that of the nuclei a compound
    changes it, so that such a flag excludes no field there."""
    specks: bool = False
    """Whether the measure counts what is as bright as nuclei: it says nothing where cytoplasm may be, in other channels
    than that of the nuclei, and is not looked at there."""
    by_compound: bool = False
    """Whether a compound that works changes the measure: cells fewer, dimmer, dead. Such a flag is for a field unlike
    the other wells of its own compound and dose; where there are not three of these it is given to no sample or
    positive control."""
    of_stain: Literal["", "level", "range"] = ""
    """Whether the background's level, or its range over the field, in grey levels must also differ from the median by 5
    % of the plate's median Stain: one grey level of background instead of two is no fault."""


_FIELD_RULES: Final = (
    _Rule(flag="few_nuclei", measure="Count_Nuclei", low=True, floor=2.0, log=True, excludes=False, by_compound=True),
    _Rule(flag="many_nuclei", measure="Count_Nuclei", high=True, floor=1.0, log=True, excludes=False, by_compound=True),
)
_CHANNEL_RULES: Final = (
    _Rule(flag="blurred", measure="Focus", low=True, floor=0.15),
    _Rule(flag="saturated", measure="Saturated", high=True, floor=0.001),
    _Rule(
        flag="background",
        measure="Background",
        low=True,
        high=True,
        floor=float(np.log2(1.5)),
        log=True,
        of_stain="level",
    ),
    _Rule(flag="gradient", measure="Gradient", high=True, floor=0.25, of_stain="range"),
    _Rule(flag="low_snr", measure="SNR", low=True, floor=1.0, log=True, of_cells=True, by_compound=True),
    _Rule(flag="stain", measure="Stain", low=True, high=True, floor=1.0, log=True, of_cells=True, by_compound=True),
    _Rule(flag="debris", measure="Debris", high=True, floor=50.0, specks=True, by_compound=True),
    _Rule(
        flag="confluence",
        measure="Confluence",
        low=True,
        high=True,
        floor=0.3,
        excludes=False,
        specks=True,
        by_compound=True,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limit:
    """A bound that holds whatever the plate's other fields are like: all of them may be bad."""

    flag: str
    measure: str
    low: float = float("-inf")
    high: float = float("inf")
    uneven_light: bool = False
    """Whether a correction of illumination mends what is measured, which is of the pixels as recorded."""


_LIMITS: Final = (
    _Limit(flag="blurred", measure="Sharpness", low=0.25),
    _Limit(flag="partly_blurred", measure="SharpnessPart", low=0.45),
    _Limit(flag="saturated", measure="Saturated", high=0.05),
    _Limit(flag="low_snr", measure="SNR", low=2.0),
    _Limit(flag="shading", measure="Shading", low=0.35, uneven_light=True),
)
_FEWEST_WELLS = 3
"""Wells of one compound and dose that tell what it does from what happened to one of them."""


@dataclass(frozen=True, slots=True)
class Flagging:
    """Flags of a plate's fields."""

    flags: pd.Series
    """Text per row of the field table: flags parted by ``;``, empty for none, index as the table's."""
    excluding: pd.Series
    """The same, but only the flags for which a field can be left out of the readouts."""
    thresholds: pd.DataFrame
    """One row per measure and channel; columns as THRESHOLD_COLUMNS."""
    notes: tuple[str, ...]


def flag_fields(
    fields: pd.DataFrame,
    settings: ReadoutSettings,
    *,
    nuclear: str | None = None,
    plate_map: pd.DataFrame | None = None,
    corrected: bool = False,
    sensor: str | None = None,
    further: Sequence[tuple[str, bool]] = (),
) -> Flagging:
    """Flag the fields of one plate (rows, with Status, Count_Nuclei and Quality_ columns) that look unlike the rest.

    A threshold lies ``flag_mads`` robust standard deviations (1.4826 · MAD) from the median over the fields with
    nuclei, and never nearer than a floor of its own. A measure that fewer than ``flag_min_fields`` of them have raises
    no flag, and a note says so. Fields that are not done have no flags. ``nuclear`` is the ending of the columns of
    the channel that nuclei are found in; without it every channel is taken for such.

    In that channel some bounds hold whatever the other fields are like, for all fields may be out of focus. What a
    compound does is no fault of an image: with ``plate_map`` (well, role, compound, dose, unit) measures of cells are
    compared with the other wells of the same compound and dose. ``corrected``: fields were measured in even light.
    ``further`` has a flag for every field, empty for none, found by other means, and whether it excludes.
    """
    conditions = None if plate_map is None else _conditions(fields, plate_map)
    channels = [str(c).removeprefix("Quality_Focus_") for c in fields.columns if str(c).startswith("Quality_Focus_")]
    rules = [(rule, rule.measure, rule.flag) for rule in _FIELD_RULES] + [
        (rule, f"Quality_{rule.measure}_{channel}", f"{rule.flag}_{channel}")
        for channel in channels
        for rule in (_CHANNEL_RULES if nuclear in (None, channel) else _elsewhere())
    ]
    done = fields["Status"].isin(_DONE).to_numpy()
    no_cells = np.zeros(len(fields), np.bool_) if conditions is None else conditions.empty
    learn = (fields["Status"] == "ok").to_numpy() & ~no_cells
    found: list[list[str]] = [[] for _ in range(len(fields))]
    excluding: list[list[str]] = [[] for _ in range(len(fields))]
    rows = []
    recorded = _recorded_rows(fields, channels, done, sensor, listed=(found, excluding))
    for rule, column, flag in rules:
        row, hit, outside = _apply(
            rule, fields[column].to_numpy(dtype=np.float64), learn=learn, done=done, settings=settings
        )
        if rule.by_compound and conditions is not None:
            hit &= _alone(conditions, fields["Metadata_Well"].to_numpy(), outside, learn)
        if rule.by_compound:
            hit &= ~no_cells
        hit &= _matters(rule, fields, column, learn)
        rows.append({"Measure": column, "Flag": flag, **row, "Count_Flagged": int(hit.sum())})
        for i in np.flatnonzero(hit):
            found[i].append(flag)
            if rule.excludes:
                excluding[i].append(flag)
    for channel in channels if nuclear is None else [nuclear]:
        rows += _limit_rows(fields, channel, done, corrected=corrected, listed=(found, excluding))
    for (flag, excludes), named, leading_out in zip(further, found, excluding, strict=bool(further)):
        if flag:
            named.append(flag)
            leading_out.extend([flag] if excludes else [])
    flags = _joined(found, fields)
    return Flagging(
        flags,
        _joined(excluding, fields),
        pd.DataFrame([*rows, *recorded]),
        _notes(fields, flags, int(learn.sum()), settings),
    )


@dataclass(frozen=True, slots=True)
class _Conditions:
    """What was in the well of each field, and whether that may change cells."""

    names: npt.NDArray[np.object_]
    treated: npt.NDArray[np.bool_]
    empty: npt.NDArray[np.bool_]
    """Whether no cell was meant to be in it: such fields are compared with no others by their cells."""


def _conditions(fields: pd.DataFrame, plate_map: pd.DataFrame) -> _Conditions:
    known = plate_map.set_index("well")
    names = {
        well: "|".join(str(row.get(name, "")) for name in ("role", "compound", "dose", "unit", "group"))
        for well, row in known.iterrows()
    }
    wells = fields["Metadata_Well"].astype(str)
    roles = wells.map(known["role"])
    return _Conditions(
        np.array([names.get(well, "") for well in wells], object),
        roles.isin(["positive", "sample"]).to_numpy(),
        roles.eq("empty").to_numpy(),
    )


def _alone(
    conditions: _Conditions,
    wells: npt.NDArray[np.object_],
    outside: Callable[[npt.NDArray[np.bool_]], npt.NDArray[np.bool_]],
    learn: npt.NDArray[np.bool_],
) -> npt.NDArray[np.bool_]:
    """Fields that are unlike the others of their own compound and dose too, which ``outside`` tells."""
    alone = np.ones(len(wells), np.bool_)
    for name in dict.fromkeys(conditions.names[conditions.treated]):
        rows = conditions.names == name
        if len(set(wells[rows & learn])) < _FEWEST_WELLS:
            alone[rows] = False
        else:
            alone[rows] = outside(rows & learn)[rows]
    return alone


def _limit_rows(
    fields: pd.DataFrame,
    channel: str,
    done: npt.NDArray[np.bool_],
    *,
    corrected: bool,
    listed: tuple[list[list[str]], list[list[str]]],
) -> list[dict[str, object]]:
    """Flag, in both lists, the fields beyond a limit; the rows of limits that some are beyond."""
    rows: list[dict[str, object]] = []
    for limit in _LIMITS:
        column, flag = f"Quality_{limit.measure}_{channel}", f"{limit.flag}_{channel}"
        if column not in fields or (corrected and limit.uneven_light):
            continue
        values = fields[column].to_numpy(dtype=np.float64)
        hit = done & ((values < limit.low) | (values > limit.high))
        for i in np.flatnonzero(hit):
            for of_field in (listed[0][i], listed[1][i]):
                if flag not in of_field:
                    of_field.append(flag)
        if hit.any():
            known = values[done & np.isfinite(values)]
            rows.append(
                {
                    "Measure": column,
                    "Flag": flag,
                    "Median": float(np.median(known)),
                    "Low": limit.low if np.isfinite(limit.low) else float("nan"),
                    "High": limit.high if np.isfinite(limit.high) else float("nan"),
                    "Count_Fields": len(known),
                    "Count_Flagged": int(hit.sum()),
                    "Excludes": True,
                    "Reason": "a limit of its own, whatever the other fields are like",
                }
            )
    return rows


def _recorded_rows(
    fields: pd.DataFrame,
    channels: list[str],
    done: npt.NDArray[np.bool_],
    sensor: str | None,
    *,
    listed: tuple[list[list[str]], list[list[str]]],
) -> list[dict[str, object]]:
    """Flag fields with pixels that no camera recorded, leaving out those that lack a tenth, and those whose background
    in channel ``sensor`` lies in cells; the threshold's rows."""
    if "Fraction_Recorded" not in fields:
        return []
    share = fields["Fraction_Recorded"].to_numpy(dtype=np.float64)
    rules = [("not_recorded", "Fraction_Recorded", share < 1.0, share < 1.0 - _MOST_MISSING)]
    for channel in channels:
        blank = fields[f"Quality_Background_{channel}"].isna().to_numpy() & np.isfinite(share)
        rules.append((f"not_recorded_{channel}", f"Quality_Background_{channel}", blank, blank))
    if sensor is not None and f"Background_Source_{sensor}" in fields:
        in_cells = (fields[f"Background_Source_{sensor}"] == "none").to_numpy()
        rules.append((f"background_in_cells_{sensor}", f"Background_Source_{sensor}", in_cells, in_cells & False))
    rows: list[dict[str, object]] = []
    for flag, measure, seen, excludes in rules:
        hit = seen & done
        for i in np.flatnonzero(hit):
            listed[0][i].append(flag)
            if excludes[i]:
                listed[1][i].append(flag)
        if not hit.any():
            continue
        row = {"Measure": measure, "Flag": flag, "Median": float("nan"), "Low": float("nan"), "High": float("nan")}
        row |= {"Count_Fields": int(done.sum()), "Count_Flagged": int(hit.sum()), "Excludes": bool(excludes.any())}
        rows.append({**row, "Reason": "this needs no comparison with other fields"})
    return rows


def _elsewhere() -> tuple[_Rule, ...]:
    """The rules for channels that nuclei are not found in."""
    return tuple(replace(r, excludes=r.excludes and not r.of_cells) for r in _CHANNEL_RULES if not r.specks)


def _matters(rule: _Rule, fields: pd.DataFrame, column: str, learn: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Fields whose distance from the median, in grey levels, is worth a word beside the plate's stain."""
    channel = column.removeprefix(f"Quality_{rule.measure}_")
    if not rule.of_stain or f"Quality_Stain_{channel}" not in fields:
        return np.ones(len(fields), bool)
    grey = fields[f"Quality_Background_{channel}"].to_numpy(dtype=np.float64)
    if rule.of_stain == "range":
        grey = grey * fields[column].to_numpy(dtype=np.float64)
    stain = fields[f"Quality_Stain_{channel}"].to_numpy(dtype=np.float64)[learn]
    stain, known = stain[np.isfinite(stain)], grey[learn & np.isfinite(grey)]
    if not (len(stain) and len(known)):
        return np.ones(len(fields), bool)
    return np.asarray(np.abs(grey - np.median(known)) >= _OF_STAIN * np.median(stain))


def _apply(
    rule: _Rule,
    values: npt.NDArray[np.float64],
    *,
    learn: npt.NDArray[np.bool_],
    done: npt.NDArray[np.bool_],
    settings: ReadoutSettings,
) -> tuple[dict[str, object], npt.NDArray[np.bool_], Callable[[npt.NDArray[np.bool_]], npt.NDArray[np.bool_]]]:
    """The rule's row of the threshold table, which fields it flags, and a way to ask which fields lie outside of what
    is usual among others."""
    if rule.log:
        logs = np.full(len(values), np.nan)
        values = np.log2(np.maximum(values, 2.0**-60), out=logs, where=values >= 0)
    known = values[learn & np.isfinite(values)]
    none = np.zeros(len(values), bool)
    enough = len(known) >= settings.flag_min_fields
    middle = float(np.median(known)) if len(known) else float("nan")
    spread = _SD_OF_MAD * float(np.median(np.abs(known - middle))) if len(known) else float("nan")
    reach = max(settings.flag_mads * spread, rule.floor)
    low = middle - reach if rule.low and enough else float("nan")
    high = middle + reach if rule.high and enough else float("nan")
    hit = done & ((values < low) | (values > high)) if enough else none
    reason = "" if enough else f"{len(known)} of the {settings.flag_min_fields} fields needed have a value"
    unit = np.exp2 if rule.log else np.positive

    def outside(others: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        usual = (
            float(np.median(values[others & np.isfinite(values)])) if (others & np.isfinite(values)).any() else middle
        )
        return np.asarray((rule.low & (values < usual - reach)) | (rule.high & (values > usual + reach)))

    return (
        {
            "Median": float(unit(middle)),
            "Low": float(unit(low)),
            "High": float(unit(high)),
            "Count_Fields": len(known),
            "Count_Flagged": 0,
            "Excludes": rule.excludes,
            "Reason": reason,
        },
        hit,
        outside,
    )


def _joined(flags: list[list[str]], fields: pd.DataFrame) -> pd.Series:
    return pd.Series([";".join(each) for each in flags], index=fields.index, dtype=object)


def flag_wells(wells: pd.DataFrame, fields: pd.DataFrame) -> pd.DataFrame:
    """The well table with Flags, every flag of its fields once, Fields_Flagged, how many of them have any, and
    Fraction_Recorded, their mean.

    ``fields`` is the field table with Metadata_Well and Flags.
    """
    flagged = fields[fields["Flags"] != ""]
    texts = {well: _distinct(flags) for well, flags in flagged.groupby("Metadata_Well")["Flags"]}
    counts = flagged["Metadata_Well"].value_counts()
    names = wells["Metadata_Well"]
    shares = (
        fields[fields["Status"].isin(_DONE)].groupby("Metadata_Well")["Fraction_Recorded"].mean()
        if "Fraction_Recorded" in fields
        else pd.Series(dtype=np.float64)
    )
    return wells.assign(
        Fraction_Recorded=names.map(shares).astype(np.float64),
        Flags=pd.Series([texts.get(well, "") for well in names], index=wells.index, dtype=object),
        Fields_Flagged=names.map(counts).fillna(0).astype(np.int64),
    )


def _distinct(flags: Iterable[str]) -> str:
    return ";".join(dict.fromkeys(flag for text in flags for flag in text.split(";")))


def _notes(fields: pd.DataFrame, flags: pd.Series, n: int, settings: ReadoutSettings) -> tuple[str, ...]:
    if n < settings.flag_min_fields and not (flags != "").any():
        return (
            f"No field is flagged: {n} fields have nuclei, and thresholds are learned from at least "
            f"{settings.flag_min_fields}.",
        )
    if not (flags != "").any():
        return ()
    return (f"{(flags != '').sum()} of {len(fields)} fields are flagged: {counted_flags(fields, flags)}.",)


def counted_flags(fields: pd.DataFrame, flags: pd.Series) -> str:
    """``blurred_DNA 2 (A01/0, B03/1), …``: the fields of each flag, a few of them by name."""
    named: dict[str, list[str]] = {}
    for well, site, text in zip(fields["Metadata_Well"], fields["Metadata_Site"], flags, strict=True):
        for flag in filter(None, text.split(";")):
            named.setdefault(flag, []).append(f"{well}/{site}")
    return ", ".join(
        f"{flag} {len(names)} ({', '.join(names[:_MOST_NAMED])}{', …' if len(names) > _MOST_NAMED else ''})"
        for flag, names in sorted(named.items(), key=lambda item: (-len(item[1]), item[0]))
    )
