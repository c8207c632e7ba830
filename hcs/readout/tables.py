"""The tables of a results folder: name, what a row is, columns, and what it means that a table is not there.

This is the only list. `hcs.open_results`, the report, `hcs export`, columns.csv and the reference pages are made of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from hcs.columns import KEY_COLUMNS, Column
from hcs.readout.columns import COMPOUND_COLUMNS, PLATE_COLUMNS, SEAM_COLUMNS
from hcs.readout.cycle.columns import CYCLE_COLUMNS, PHASE_COLUMNS, SENSOR_COLUMNS
from hcs.readout.live.columns import CYCLE_COLUMNS as LIVE_CYCLE_COLUMNS
from hcs.readout.live.columns import FRAME_COLUMNS, WINDOW_COLUMNS, ZPRIME_TIME_COLUMNS
from hcs.readout.screen.assay_columns import ASSAY_COLUMNS, ATTRIBUTION_COLUMNS, DISCRIMINANT_COLUMNS
from hcs.readout.screen.hit_columns import DOSE_COLUMNS, HIT_COLUMNS, SCORE_COLUMNS
from hcs.readout.screen.toxicity_columns import TOXICITY_COLUMNS, WARNING_COLUMN
from hcs.readout.wells.classes import CLASS_COLUMNS
from hcs.readout.wells.dead import DEAD_COLUMNS
from hcs.readout.wells.duplicates import DUPLICATE_COLUMNS
from hcs.readout.wells.flag_columns import THRESHOLD_COLUMNS
from hcs.tracks.columns import TRACK_COLUMNS


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table of the results folder."""

    name: str
    rows: str
    """What a row is, and what it says: one sentence."""
    columns: tuple[Column, ...] = ()
    """Empty where they depend on the plate: on its channels, groups and readouts."""
    absent: str = ""
    """What the report says where the table is missing or has no row; empty where the report has no place for it."""
    timed: bool = False
    """Whether only a plate with time has the table."""
    parts: bool = False
    """Whether the table is a folder with a file a field or a well."""

    @property
    def file(self) -> str:
        """Its file or folder in the results folder."""
        return f"{self.name}/" if self.parts else f"{self.name}.parquet"


ALL_TABLES = (
    Table(name="nuclei", rows="One row per nucleus: place, shape, intensities, sensor ratio, flags.", parts=True),
    Table(
        name="wells",
        rows="One row per expected well: status, counts, feature means and medians, cell-cycle fractions.",
        absent="There is no well table; `hcs readout` makes it from the nuclei.",
    ),
    Table(
        name="compounds",
        rows="One row per readout, compound and dose: Z′, robust Z′ and SSMD against negatives.",
        columns=(*COMPOUND_COLUMNS, WARNING_COLUMN),
        absent="There is no compound table; `hcs readout` makes it from the nuclei and the plate map.",
    ),
    Table(
        name="plate",
        rows="One row per readout and group of controls: the assay's Z′, and the plate's DNA peak.",
        columns=PLATE_COLUMNS,
        absent="There is no plate table; `hcs readout` makes it from the nuclei and the plate map.",
    ),
    Table(
        name="fields",
        rows="One row per expected field: status, reason, nuclei, image quality and flags, as the last readout left "
        "it.",
        absent="There is no field table; `hcs readout` makes it from the ledger.",
    ),
    Table(
        name="assay",
        rows="One row per numeric well readout and group of controls: Z′ family, SSMD, signal window, rank.",
        columns=ASSAY_COLUMNS,
        absent="No ranking of readouts was made for these results; `hcs readout` makes it where the plate map names "
        "positive and negative controls.",
    ),
    Table(
        name="attribution",
        rows="One row per readout, group and cause: what holds Z′ down, and the Z′ without it.",
        columns=ATTRIBUTION_COLUMNS,
        absent="What lowers Z′ was not looked into; `hcs readout` does so where the plate map names positive and "
        "negative controls.",
    ),
    Table(
        name="discriminant",
        rows="One row per group of controls: Z′ of the readouts taken together, cross-validated by well.",
        columns=DISCRIMINANT_COLUMNS,
        absent="No multivariate Z′ was made; it needs positive and negative control wells.",
    ),
    Table(
        name="doses",
        rows="One row per readout, compound and group: EC50 with its interval, or the reason why there is none.",
        columns=(*DOSE_COLUMNS, WARNING_COLUMN),
        absent="No dose curves were fitted; that needs compounds with doses in the plate map.",
    ),
    Table(
        name="scores",
        rows="One row per well and readout: percent of control, robust z, corrected value, q-value, hit.",
        columns=SCORE_COLUMNS,
        absent="No scores of single wells were made; they need negative control wells.",
    ),
    Table(
        name="hits",
        rows="One row per compound, dose and readout: effect, q-value, hit.",
        columns=(*HIT_COLUMNS, WARNING_COLUMN),
        absent="No hits were called; that needs samples and negative control wells in the plate map.",
    ),
    Table(
        name="toxicity",
        rows="One row per compound and dose: living nuclei relative to the negatives', p-value, toxic.",
        columns=TOXICITY_COLUMNS,
        absent="Toxicity was not looked for; that needs compounds and negative control wells in the plate map.",
    ),
    Table(
        name="dead",
        rows="One row per plate: what living nuclei look like, and the limits from which a nucleus is a dead cell.",
        columns=DEAD_COLUMNS,
        absent="Dead cells were not looked for; `hcs readout` does so.",
    ),
    Table(
        name="cycles",
        rows="One row per well (empty: the plate) and model: cell-cycle fractions, or why there are none.",
        columns=CYCLE_COLUMNS,
        absent="No cell-cycle models were fitted to these results; `hcs readout` fits them.",
    ),
    Table(
        name="phases",
        rows="One row per nucleus: gate, cell-cycle phase and its probability, CDK2 state.",
        columns=PHASE_COLUMNS,
        parts=True,
    ),
    Table(
        name="classes",
        rows="One row per nucleus: its class by the examples of `hcs classify`, and the score of that.",
        columns=CLASS_COLUMNS,
    ),
    Table(
        name="sensor",
        rows="One row per plate: the threshold between sensor-low and sensor-high nuclei, fixed and by mixture.",
        columns=SENSOR_COLUMNS,
        absent="No threshold of the sensor was looked for; that needs a sensor channel and a usable 2N peak.",
    ),
    Table(
        name="quality",
        rows="One row per measure of image quality: thresholds beyond which fields are flagged, learned from the "
        "plate.",
        columns=THRESHOLD_COLUMNS,
        absent="No thresholds of image quality were learned; `hcs readout` does so where the run measured it.",
    ),
    Table(
        name="seams",
        rows="One row per kind of place, at seams and elsewhere: nuclei that change where fields are cut elsewhere.",
        columns=SEAM_COLUMNS,
    ),
    Table(
        name="duplicates",
        rows="One row per nucleus that two overlapping fields show, and that is left out of the readouts.",
        columns=DUPLICATE_COLUMNS,
    ),
    Table(
        name="timepoints",
        rows="One row per frame of every field of a plate with time: status, reason, nuclei, image quality.",
        timed=True,
    ),
    Table(
        name="tracks",
        rows="One row per track of a plate with time: parent, first and last frame, how it began and ended, quality.",
        columns=(*KEY_COLUMNS, *TRACK_COLUMNS),
        timed=True,
    ),
    Table(
        name="frames",
        rows="One row per well and frame: counts, and means and medians over the frame's nuclei.",
        columns=FRAME_COLUMNS,
        timed=True,
    ),
    Table(
        name="cycles_live",
        rows="One row per cell born in a division: how long it was watched, whether it divided, its class.",
        columns=LIVE_CYCLE_COLUMNS,
        timed=True,
    ),
    Table(
        name="zprime_time",
        rows="One row per readout, group of controls and frame: Z′ at that frame.",
        columns=ZPRIME_TIME_COLUMNS,
        timed=True,
    ),
    Table(
        name="windows",
        rows="One row per readout and group of controls: frames at which the assay is best, cross-validated by well.",
        columns=WINDOW_COLUMNS,
        timed=True,
    ),
)
"""In the order in which a reader meets them."""

TABLES = {table.name: table for table in ALL_TABLES}
READOUTS = tuple(table.name for table in ALL_TABLES if not table.parts and table.name not in {"seams", "duplicates"})
"""Readout tables, each one file."""


def fixed_columns(*, timed: bool) -> dict[str, tuple[Column, ...]]:
    """Columns of the tables whose columns are the same for every plate, or for every plate with time, by table."""
    return {table.name: table.columns for table in ALL_TABLES if table.columns and table.timed is timed}
