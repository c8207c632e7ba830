"""Dose curves: EC50, slope, ends and efficacy of every compound on every configured readout, or why there is none."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from hcs.readout.columns import as_table
from hcs.readout.groups import TESTED, Floats, absence, references, values_of, with_group
from hcs.readout.screen.hit_columns import DOSE_COLUMNS
from hcs.readout.screen.logistic import PARAMETERS, Curve, fit_curve, replicate_weights
from hcs.readout.settings import ReadoutSettings


def dose_curves(wells: pd.DataFrame, settings: ReadoutSettings) -> pd.DataFrame:
    """Dose table: one row per configured readout, compound, unit and group, of columns ``DOSE_COLUMNS``.

    Sample and positive wells of the compound make the curve (see ``fit_curve``), and, with ``doses.anchor``, the
    negative wells of the group as dose 0. Wells at the same dose count as replicates. No curve, with the reason, for
    too few doses or wells, no effect beyond chance, too little explained, and an EC50 outside the doses or one whose
    interval reaches beyond the highest dose or is open, of which the reason then gives the bound: a curve that does not
    level off within the doses fits EC50s of any size above, and the best of them is several times too low.
    """
    grouped = with_group(wells)
    plate = str(wells["Metadata_Plate"].iloc[0]) if len(wells) else ""
    absent = {readout: absence(grouped, readout) for readout in settings.readouts}
    rows: list[dict[str, object]] = []
    for (compound, unit, group), members in _compounds(grouped):
        positive, negative = references(grouped, group)
        for readout in settings.readouts:
            head = {"Metadata_Plate": plate, "Readout": readout, "Compound": compound, "Unit": unit, "Group": group}
            window = _mean(values_of(positive, readout)) - _mean(values_of(negative, readout))
            row = head | _row(members, negative, readout, window, settings)
            rows.append(row | {"Reason": absent[readout] or row["Reason"]})
    table = as_table(rows, DOSE_COLUMNS)
    rank = {name: i for i, name in enumerate(settings.readouts)}
    return table.sort_values("Readout", key=lambda names: names.map(rank), kind="stable").reset_index(drop=True)


def _compounds(grouped: pd.DataFrame) -> Iterator[tuple[tuple[str, str, str], pd.DataFrame]]:
    tested = grouped[grouped["Metadata_Role"].isin(TESTED) & grouped["Metadata_Dose"].notna()]
    for key, members in tested.groupby(["Metadata_Compound", "Metadata_Unit", "Group"], sort=True):
        compound, unit, group = (str(part) for part in key)
        yield (compound, unit, group), members


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def _row(
    members: pd.DataFrame, negative: pd.DataFrame, readout: str, window: float, settings: ReadoutSettings
) -> dict[str, object]:
    dose, y = values_of(members, "Metadata_Dose"), values_of(members, readout)
    known = np.isfinite(y) & (dose >= 0)
    dose, y = dose[known], y[known]
    anchors = values_of(negative, readout) if settings.doses.anchor else np.empty(0)
    anchors = anchors[np.isfinite(anchors)]
    doses = np.unique(dose[dose > 0])
    row: dict[str, object] = {
        "Count_Wells": len(y),
        "Count_NegativeWells": len(anchors),
        "Count_Doses": len(doses),
        "MinDose": float(doses.min()) if doses.size else float("nan"),
        "MaxDose": float(doses.max()) if doses.size else float("nan"),
    }
    y = np.concatenate([y, anchors])
    few = _too_few(doses, y, settings)
    if few:
        return row | {"Reason": few}
    with np.errstate(divide="ignore"):
        x = np.log10(np.concatenate([dose, np.zeros(len(anchors))]))
    curve = fit_curve(x, y, replicate_weights(x, y), confidence=settings.confidence)
    row |= {"R2": curve.r2, "PValue": curve.p, "PValue_LackOfFit": curve.p_lack}
    reason = _refused(curve, settings)
    if reason:
        return row | {"Reason": reason}
    outside = _outside(curve, doses, str(members["Metadata_Unit"].iloc[0]))
    ends = {"EC50_Low": 10.0**curve.low, "EC50_High": 10.0**curve.high}
    if outside:
        return row | ends | {"Direction": _direction(curve), "Reason": outside}
    return row | ends | _fitted(curve, window, settings)


def _direction(curve: Curve) -> str:
    return "rising" if curve.effect > 0 else "falling"


def _too_few(doses: Floats, y: Floats, settings: ReadoutSettings) -> str:
    """Why no curve is tried; empty where one is."""
    if len(doses) < settings.doses.min_doses:
        return f"{len(doses)} doses with a value, at least {settings.doses.min_doses} needed"
    if len(y) < PARAMETERS + 2:
        return f"{len(y)} wells with a value, at least {PARAMETERS + 2} needed"
    return "all wells have the same value" if np.ptp(y) == 0 else ""


def _refused(curve: Curve, settings: ReadoutSettings) -> str:
    """Why a fitted curve is not given; empty where it is."""
    if curve.p > settings.doses.max_p:
        return f"no effect of the dose beyond chance (F test, p = {curve.p:.2g})"
    if curve.r2 < settings.doses.min_r2:
        return f"no sigmoid: it explains {curve.r2:.0%} of the variance, at least {settings.doses.min_r2:.0%} needed"
    return ""


def _outside(curve: Curve, doses: Floats, unit: str) -> str:
    """Why there is an effect but no EC50; empty where the doses enclose the EC50 and its interval is closed."""
    top, bottom = f"{doses[-1]:g} {unit}".strip(), f"{doses[0]:g} {unit}".strip()
    low, high = (f"{10.0**end:.3g} {unit}".strip() for end in (curve.low, curve.high))
    flat, early = "the effect does not level off", "the effect is there already"
    if curve.log_ec50 > np.log10(doses[-1]) or curve.low > np.log10(doses[-1]):
        return f"EC50 > {top}, the highest dose: {flat}"
    if curve.log_ec50 < np.log10(doses[0]) or curve.high < np.log10(doses[0]):
        return f"EC50 < {bottom}, the lowest dose: {early}"
    if np.isposinf(curve.high) and np.isneginf(curve.low):
        return f"EC50 open on both sides: neither end of the effect lies between {bottom} and {top}"
    if curve.high > np.log10(doses[-1]):
        return f"EC50 open above, > {low}: {flat} up to {top}, the highest dose"
    if np.isneginf(curve.low):
        return f"EC50 open below, < {high}: {early} at {bottom}, the lowest dose"
    return ""


def _fitted(curve: Curve, window: float, settings: ReadoutSettings) -> dict[str, object]:
    sign = 1.0 if curve.effect > 0 else -1.0
    hills = sorted(sign * end for end in curve.hill_ends)
    low, high = sorted([(curve.start, *curve.start_ends), (curve.end, *curve.end_ends)])
    return {
        "EC50": 10.0**curve.log_ec50,
        "Direction": _direction(curve),
        "Hill": sign * curve.hill,
        "Hill_Low": hills[0],
        "Hill_High": hills[1],
        "Bottom": low[0],
        "Bottom_Low": low[1],
        "Bottom_High": low[2],
        "Top": high[0],
        "Top_Low": high[1],
        "Top_High": high[2],
        "Efficacy": curve.effect,
        "Efficacy_Percent": 100 * curve.effect / window if window else float("nan"),
        "Reason": "",
        "Note": _note(curve),
    }


def _note(curve: Curve) -> str:
    """What to know of the intervals; empty where they are made of the wells."""
    if not curve.lacks_fit:
        return ""
    return (
        f"doses scatter about the curve more than their replicates explain (p = {curve.p_lack:.1g}), so the intervals "
        "are made of the doses' means"
    )
