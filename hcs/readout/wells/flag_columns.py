"""Columns of the tables that flags stand in: the field table and the table of thresholds."""

from __future__ import annotations

import pandas as pd

from hcs.columns import Column
from hcs.readout.columns import count_column, number_column, text_column

_OWN = "as the measure"
FLAGS = text_column(
    "Flags",
    "what makes the field unlike the others of its plate, parted by ;: blurred (Focus), saturated, background, "
    "gradient, low_snr, stain, debris or confluence, with the channel, and few_nuclei, many_nuclei; blurred, "
    "partly_blurred, saturated, low_snr and shading also by limits of their own in the channel of the nuclei; "
    "background_in_cells where no background could be told from cells; measures of cells are "
    "compared within a compound and dose where the plate map names them; not_recorded where "
    "Fraction_Recorded is below 1, with the channel where nothing of it was recorded; "
    "same_pixels or same_nuclei where it shows what another field shows; empty for nothing",
    "thresholds in quality.parquet",
)
_FIELD_COLUMNS: tuple[Column, ...] = (
    text_column("Metadata_Well", "well, row letters and two-digit column"),
    count_column("Metadata_Site", "", "field: its 0-based position in the well's metadata"),
    text_column("Status", "ok; empty (no nucleus); failed; pending"),
    text_column("Reason", "why the field failed, or what is odd about it"),
    count_column("Count_Nuclei", "nuclei", "nuclei found in the field"),
    Column("Labels_Edited", "bool", "", "whether its nuclei are labels that somebody edited: see hcs remeasure", "hcs"),
    number_column(
        "Fraction_Recorded",
        "share of the pixels that a camera recorded; the rest is fill of one exact value (a mosaic's gap, a missing "
        "chunk, a turned well's corner) and in no measurement, background or count; NaN where the field was not "
        "processed",
    ),
    number_column("Seconds", "work on the field, all stages", unit="s"),
    FLAGS,
)
THRESHOLD_COLUMNS: tuple[Column, ...] = (
    text_column("Measure", "column of the field table"),
    text_column("Flag", "flag of fields beyond Low or High"),
    number_column("Median", "median of the measure over the fields with nuclei", unit=_OWN),
    number_column(
        "Low",
        "threshold below which a field is flagged: flag_mads robust standard deviations (1.4826 MAD, of the logarithm "
        "for Count_Nuclei, Background, SNR and Stain) from the median, or further where a floor says so; of Background "
        "and Gradient the grey levels must differ from their median by 5 % of the median Stain too; NaN for none",
        unit=_OWN,
    ),
    number_column("High", "threshold above which a field is flagged, likewise", unit=_OWN),
    count_column("Count_Fields", "fields", "fields with nuclei and a value, from which the threshold was learned"),
    count_column("Count_Flagged", "fields", "fields that are flagged"),
    Column("Excludes", "bool", "", "whether exclude_flagged leaves such a field out of the readouts", ""),
    text_column("Reason", "why there is no threshold; empty where there is one"),
)


def field_columns(fields: pd.DataFrame, channels: tuple[str, ...]) -> tuple[Column, ...]:
    """Definitions of the columns of a field table, in its order."""
    background = tuple(
        number_column(
            f"Background_{name}",
            f"background in channel {name} that sensor ratios were made with, after any correction of illumination",
            unit="grey levels",
        )
        for name in channels
    )
    source = tuple(
        text_column(
            f"Background_Source_{name}",
            f"whose background in channel {name} that is: field, its own; plate, the plate's or a stated one; none, "
            "its own lies in cells and the plate has none: a sensor has no ratio there",
        )
        for name in channels
    )
    from hcs.measure.quality import quality_columns  # noqa: PLC0415  numba, which who reads tables does without

    known = {column.name: column for column in (*_FIELD_COLUMNS, *background, *source, *quality_columns(channels))}
    return tuple(known[str(name)] for name in fields.columns)
