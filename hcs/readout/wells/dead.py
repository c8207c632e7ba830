"""Which nuclei are dead cells: far brighter than the plate's living ones, or brighter and small.

A dead cell's chromatin is condensed (pyknosis) and takes up more stain through a broken membrane: a round, bright
object. The rule asks for the mean DNA intensity above the local background, in units of the median over the living
nuclei of the plate, and for the area in units of theirs. It confuses what is as bright: late mitotic nuclei of one
daughter each (small, up to 2.5 times as bright), metaphase plates where a lens of high aperture shows them more than
four times as bright, nuclei that lie on each other, stained debris that was taken for a nucleus. It does not see dead
cells that are no brighter, which count below G1 (Fraction_SubG1), nor those that were washed away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcs.columns import DEAD, Column
from hcs.readout.columns import count_column, number_column, text_column
from hcs.readout.settings import ReadoutSettings
from hcs.readout.wells.nuclei import (
    AREA,
    DNA_CONTENT,
    NO_DNA,
    Rows,
    numbers,
    saturated_pixels,
    source_rows,
    well_codes,
)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LivingNuclei:
    """What living nuclei of a plate look like, and the limits that follow; NaN, with the reason, where too few tell."""

    intensity: float
    """Median of DNA content over area: mean intensity above the local background, in grey levels."""
    area_px: float
    """Median area, in pixels."""
    n: int
    source_wells: str
    bright: float = float("nan")
    """Intensity from which any nucleus is dead, in grey levels."""
    condensed: float = float("nan")
    """Intensity from which a small or saturated nucleus is dead, in grey levels."""
    small_px: float = float("nan")
    """Area up to which a nucleus is small, in pixels."""
    reason: str = ""

    def dead(self, content: Floats, area_px: Floats, saturated_px: Floats) -> Rows:
        """Whether nuclei (n,) are dead cells, by DNA content (grey levels), area and saturated DNA pixels.

        False where a measurement is missing, and everywhere where it is not known what living nuclei look like.
        """
        with np.errstate(invalid="ignore"):
            doubtful = (area_px <= self.small_px) | (2 * saturated_px >= area_px)
            condensed = (content >= area_px * self.condensed) & doubtful
            rows: Rows = (content >= area_px * self.bright) | condensed
        return rows


def learn_living(nuclei: pd.DataFrame, plate_map: pd.DataFrame | None, settings: ReadoutSettings) -> LivingNuclei:
    """What living nuclei look like: medians over the measured nuclei of the negative controls, or of all wells without
    such (``source_rows``), which hold while at most half of these are dead."""
    source, rows = source_rows(nuclei, plate_map, settings)
    content, area = numbers(nuclei, DNA_CONTENT)[rows], numbers(nuclei, AREA)[rows]
    known = np.isfinite(content) & np.isfinite(area) & (content > 0) & (area > 0)
    n = int(known.sum())
    if n < settings.dead.min_nuclei:
        missing = [name for name in (DNA_CONTENT, AREA) if name not in nuclei]
        why = (
            (NO_DNA if missing[0] == DNA_CONTENT else f"the table has no column {missing[0]}")
            if missing
            else f"{n} nuclei with DNA content in {source}, at least {settings.dead.min_nuclei} needed"
        )
        return LivingNuclei(intensity=float("nan"), area_px=float("nan"), n=n, source_wells=source, reason=why)
    intensity, typical = float(np.median(content[known] / area[known])), float(np.median(area[known]))
    return LivingNuclei(
        intensity=intensity,
        area_px=typical,
        n=n,
        source_wells=source,
        bright=settings.dead.bright * intensity,
        condensed=settings.dead.condensed * intensity,
        small_px=settings.dead.small * typical,
    )


def flag_dead(nuclei: pd.DataFrame, living: LivingNuclei, *, dna: str | None) -> pd.DataFrame:
    """The nuclei with the column Nuclei_Flag_Dead; ``dna`` names the DNA channel, whose saturation then counts."""
    saturated = saturated_pixels(nuclei, dna)
    content, area = numbers(nuclei, DNA_CONTENT), numbers(nuclei, AREA)
    return nuclei.assign(
        **{DEAD: living.dead(content, area, np.zeros(len(nuclei)) if saturated is None else saturated)}
    )


def count_dead(nuclei: pd.DataFrame, wells: pd.DataFrame, living: LivingNuclei, fields: pd.DataFrame) -> pd.DataFrame:
    """The well table with Count_Dead, Fraction_Dead and Count_LivingPerField behind Count_Nuclei.

    Dead counts are NaN where it is not known what living nuclei look like; all nuclei count as living then. Of
    ``fields`` (well, status, recorded: the share of the field that was), only what was recorded shows living ones.
    """
    names = list(map(str, wells["Metadata_Well"]))
    codes = well_codes(nuclei["Metadata_Well"], names)
    dead = np.bincount(codes[nuclei[DEAD].to_numpy(dtype=bool)], minlength=len(names)).astype(np.float64)
    every = wells["Count_Nuclei"].to_numpy(dtype=np.float64)
    recorded = _recorded_fields(fields, names)
    counted = np.full(len(names), np.nan) if living.reason else dead
    columns = {
        "Count_Dead": counted,
        "Fraction_Dead": np.divide(counted, every, out=np.full(len(names), np.nan), where=every > 0),
        LIVING: np.divide(every - dead, recorded, out=np.full(len(names), np.nan), where=recorded > 0),
    }
    table = wells.copy()
    place = list(wells.columns).index("Count_Nuclei") + 1
    for i, (name, values) in enumerate(columns.items()):
        table.insert(place + i, name, values)
    return table


def _recorded_fields(fields: pd.DataFrame, names: list[str]) -> Floats:
    """How many fields of each well were looked at, those that were recorded in part by that part."""
    done = fields[fields["status"].isin(["ok", "empty"])]
    shares = done["recorded"].fillna(1.0) if "recorded" in done else pd.Series(1.0, index=done.index)
    counts = shares.groupby(done["well"]).sum().reindex(names).fillna(0.0)
    return np.asarray(counts.to_numpy(), np.float64)


def dead_table(living: LivingNuclei, wells: pd.DataFrame, settings: ReadoutSettings) -> pd.DataFrame:
    """One row: what living nuclei look like, the limits, how many are dead; columns as DEAD_COLUMNS."""
    known = not living.reason
    row = {
        "Metadata_Plate": str(wells["Metadata_Plate"].iloc[0]) if len(wells) else "",
        "Living_Intensity": living.intensity,
        "Living_Area": living.area_px,
        "Threshold_Bright": living.bright,
        "Threshold_Condensed": living.condensed,
        "Threshold_Small": living.small_px,
        "Count_Nuclei": living.n,
        "SourceWells": living.source_wells,
        "Count_Dead": float(wells["Count_Dead"].sum()) if known else float("nan"),
        "Excluded": settings.dead.exclude,
        "Reason": living.reason,
    }
    return pd.DataFrame([row], columns=[column.name for column in DEAD_COLUMNS])


def dead_notes(table: pd.DataFrame, wells: pd.DataFrame) -> tuple[str, ...]:
    """How many nuclei were called dead and what became of them, or why none can be."""
    row = table.iloc[0]
    every = int(wells["Count_Nuclei"].sum())
    if row["Reason"]:
        return (f"Dead cells cannot be told from living ones: {row['Reason']}.",) if every else ()
    dead = int(row["Count_Dead"])
    if not dead:
        return ()
    became = (
        "left out of means, medians, fractions and the cell cycle (readout.dead.exclude: false keeps them in)"
        if row["Excluded"]
        else "part of all readouts, as readout.dead.exclude is false"
    )
    limit = row["Threshold_Bright"] / row["Living_Intensity"]
    return (
        f"{dead:,} of {every:,} nuclei ({dead / every:.1%}) are called dead: at least {limit:g} times as bright in DNA "
        f"as living ones, or bright and small. They are {became}.",
    )


LIVING = "Count_LivingPerField"
"""Well readout that toxicity is told by."""

DEAD_COLUMNS: tuple[Column, ...] = (
    text_column("Metadata_Plate", "name of the plate"),
    number_column(
        "Living_Intensity",
        "median of Nuclei_DNA_Content / Nuclei_AreaShape_Area over the nuclei living ones are learned from",
        unit="grey levels",
    ),
    number_column("Living_Area", "median of Nuclei_AreaShape_Area over these nuclei", unit="px"),
    number_column(
        "Threshold_Bright", "dead.bright x Living_Intensity: from there a nucleus is dead", unit="grey levels"
    ),
    number_column(
        "Threshold_Condensed",
        "dead.condensed x Living_Intensity: from there a nucleus is dead that is small or half of whose DNA pixels are "
        "saturated",
        unit="grey levels",
    ),
    number_column("Threshold_Small", "dead.small x Living_Area: up to there a nucleus is small", unit="px"),
    count_column("Count_Nuclei", "nuclei", "nuclei that living ones are learned from"),
    text_column("SourceWells", "wells of these nuclei"),
    number_column("Count_Dead", "dead nuclei of the plate; NaN with a reason", unit="nuclei"),
    Column("Excluded", "bool", "", "whether dead nuclei are left out of the readouts", "hcs"),
    text_column("Reason", "why dead cells cannot be told; empty where they can"),
)
FLAG_COLUMN = Column(
    DEAD,
    "bool",
    "",
    "the nucleus is a dead cell: Nuclei_DNA_Content / Nuclei_AreaShape_Area at least Threshold_Bright of dead, or at "
    "least Threshold_Condensed and small (Threshold_Small) or half saturated in DNA. Confuses nuclei on each other, "
    "bright debris and the most compact mitoses with dead cells; dim dead cells are not told",
    "hcs; pyknosis",
)
