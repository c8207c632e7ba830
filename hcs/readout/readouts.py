"""From the nucleus table to the well, compound and plate tables, in one call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeAlias

import pandas as pd

from hcs.errors import ConfigError
from hcs.readout.cycle.caicedo import CAICEDO, caicedo_fractions
from hcs.readout.cycle.cycles import PlateCycle, cycle_notes, find_cycle
from hcs.readout.cycle.dna import DnaPeak
from hcs.readout.cycle.phases import Floats, bin_content
from hcs.readout.screen.compounds import summarise_compounds, summarise_plate
from hcs.readout.screen.tables import ScreenTables, screen_notes, screen_tables
from hcs.readout.screen.toxicity import find_toxicity, toxicity_notes, with_warning
from hcs.readout.settings import ReadoutSettings
from hcs.readout.wells.dead import LivingNuclei, count_dead, dead_notes, dead_table, flag_dead, learn_living
from hcs.readout.wells.features import ByWell
from hcs.readout.wells.nuclei import SENSOR_RATIO, source_rows
from hcs.readout.wells.wells import expected_wells, plate_peak, summarise_wells

Extend: TypeAlias = Callable[[PlateCycle, list[str]], pd.DataFrame]
"""Of a plate's cell cycle and the names of its wells: a table with Metadata_Well and further columns."""
_WIDE_CV = 0.12  # from here on simulated S fractions are off by more than 3 points


@dataclass(frozen=True, slots=True)
class Readouts:
    """Everything read out of one plate.

    ``dead`` is one row on dead cells, ``toxicity`` one a condition; columns DEAD_COLUMNS and TOXICITY_COLUMNS.
    ``histogram`` (B,) counts the nuclei that the 2N peak was found in, over phases.EDGES_N in units of N (all
    0 without a usable peak); ``notes`` are sentences for the reader, such as why something is NaN.
    """

    wells: pd.DataFrame
    compounds: pd.DataFrame
    plate: pd.DataFrame
    peak: DnaPeak
    histogram: Floats
    settings: ReadoutSettings
    notes: tuple[str, ...]
    cycle: PlateCycle
    screen: ScreenTables
    dead: pd.DataFrame
    toxicity: pd.DataFrame


def make_readouts(
    nuclei: pd.DataFrame,
    fields: pd.DataFrame,
    plate_map: pd.DataFrame | None,
    settings: ReadoutSettings,
    *,
    plate: str | None = None,
    dna: str | None = None,
    tables: ByWell | None = None,
    quality: pd.DataFrame | None = None,
    extend: Extend | None = None,
) -> Readouts:
    """All tables of one plate, with the 2N peak and notes; see ``summarise_wells`` and ``screen_tables``.

    ``plate`` names the plate where no nucleus does; ``dna`` names the DNA channel, to watch its saturation.
    ``tables`` gives all columns of the nuclei, well by well, where ``nuclei`` has only those of ``single_columns``.
    ``quality`` is the field table with Quality_ columns, in which causes of a low Z' are looked for. ``extend`` gives
    further columns of wells, such as those read from tracks, which are readouts like any other.
    Raises ConfigError for a readout that is no numeric well column, naming close matches.
    """
    found = find_wells(nuclei, fields, plate_map, settings, plate=plate, dna=dna, tables=tables, extend=extend)
    nuclei, wells, living, cycle, peak = found.nuclei, found.wells, found.living, found.cycle, found.cycle.peak
    toxicity = find_toxicity(wells, settings)
    screen = screen_tables(wells, settings, quality=quality, toxicity=toxicity)
    compounds = with_warning(summarise_compounds(wells, settings), toxicity)
    plate_table = summarise_plate(wells, peak, settings)
    histogram = bin_content(cycle.content_n[source_rows(nuclei, plate_map, settings)[1]])
    dead = dead_table(living, wells, settings)
    notes = (
        *_notes(nuclei, wells, plate_table, peak, plate_map),
        *dead_notes(dead, wells),
        *toxicity_notes(toxicity),
        *cycle_notes(cycle),
        *screen_notes(screen, settings),
    )
    return Readouts(wells, compounds, plate_table, peak, histogram, settings, notes, cycle, screen, dead, toxicity)


@dataclass(frozen=True, slots=True)
class FoundWells:
    """The well table, and what all that is read from it stands on."""

    wells: pd.DataFrame
    nuclei: pd.DataFrame
    """The nuclei, with a column that says which are dead."""
    living: LivingNuclei
    cycle: PlateCycle


def find_wells(
    nuclei: pd.DataFrame,
    fields: pd.DataFrame,
    plate_map: pd.DataFrame | None,
    settings: ReadoutSettings,
    *,
    plate: str | None = None,
    dna: str | None = None,
    tables: ByWell | None = None,
    extend: Extend | None = None,
) -> FoundWells:
    """The well table that ``make_readouts`` compares wells by; arguments and ConfigError as there. It alone tells
    whether a readout is a column, before a plate is begun."""
    living = learn_living(nuclei, plate_map, settings)
    nuclei = flag_dead(nuclei, living, dna=dna)
    if tables is not None:
        tables = ((well, flag_dead(rows, living, dna=dna)) for well, rows in tables)
    peak = plate_peak(nuclei, plate_map, settings, dna=dna)
    cycle = find_cycle(nuclei, expected_wells(fields), plate_map, settings, peak=peak, dna=dna)
    wells = summarise_wells(nuclei, fields, plate_map, settings, cycle=cycle, plate=plate, tables=tables)
    wells = count_dead(nuclei, wells, living, fields)
    wells[CAICEDO] = caicedo_fractions(nuclei, cycle.content_n, wells["Metadata_Well"], settings)
    if extend is not None:
        wells = wells.merge(
            extend(cycle, [str(well) for well in wells["Metadata_Well"]]), on="Metadata_Well", how="left"
        )
    _check_readouts(wells, settings)
    return FoundWells(wells, nuclei, living, cycle)


def _check_readouts(wells: pd.DataFrame, settings: ReadoutSettings) -> None:
    numeric = [
        str(c) for c in wells.columns if pd.api.types.is_numeric_dtype(wells[c]) and not str(c).startswith("Metadata_")
    ]
    for name in settings.readouts:
        if name not in numeric:
            close = get_close_matches(name, numeric, n=3, cutoff=0.4) or numeric[:3]
            raise ConfigError(
                f"readout {name!r} is no numeric column of the well table; did you mean {', '.join(close)}?"
            )


def _notes(
    nuclei: pd.DataFrame,
    wells: pd.DataFrame,
    plate: pd.DataFrame,
    peak: DnaPeak,
    plate_map: pd.DataFrame | None,
) -> tuple[str, ...]:
    notes = []
    if plate_map is None:
        notes.append("No plate map was given, so there are no controls and no compounds to compare.")
    elif not wells["Metadata_Role"].isin(["negative", "positive", "sample"]).any():
        notes.append("The plate map names no role for any well of this plate.")
    if SENSOR_RATIO not in nuclei:
        notes.append("No sensor channel was measured, so sensor readouts are NaN.")
    if not peak.usable:
        notes.append(f"Cell-cycle fractions are NaN: {peak.reason}.")
    elif peak.cv > _WIDE_CV:
        notes.append(
            f"The 2N peak is wide (CV {peak.cv:.2f}): fractions of S can be off by 5 to 10 points, "
            "compare them within this plate only."
        )
    if peak.usable and peak.source_wells.startswith("all wells"):
        notes.append(f"The 2N peak was found in {peak.source_wells}.")
    if peak.usable and peak.saturated > 0.05:
        notes.append(
            f"{peak.saturated:.0%} of the nuclei the 2N peak was found in have saturated DNA pixels, "
            "which pulls the DNA content of bright nuclei down."
        )
    if plate_map is not None:
        notes.extend(_unclear(plate))
    bad = wells[~wells["Status"].isin(["ok", "empty"])]
    if len(bad):
        notes.append(f"{len(bad)} of {len(wells)} wells are not complete; their status and reason are in the table.")
    return tuple(notes)


def _unclear(plate: pd.DataFrame) -> list[str]:
    """Why statistics of the controls are NaN; a reason that all rows of a readout share is said once."""
    notes = []
    for readout, rows in plate.groupby("Readout", sort=False):
        reasons = set(rows["Reason"])
        if len(reasons) == 1:
            notes += [f"{readout}: {reason}." for reason in reasons if reason]
        else:
            unclear = rows[rows["Reason"] != ""].itertuples()
            notes += [f"{readout}, {row.Reference}: {row.Reason}." for row in unclear]
    return notes
