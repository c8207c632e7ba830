"""Column dictionary of the well, compound and plate tables: unit, definition and source of every column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from hcs.columns import Column

ZHANG = "Zhang, Chung & Oldenburg, J. Biomol. Screen. 4, 67 (1999)"
SSMD = "Zhang, Genomics 89, 552 (2007)"
_DJF = "after Dean & Jett, J. Cell Biol. 60, 523 (1974); Fox, Cytometry 1, 71 (1980)"
MAP = "plate map"
_INTERVAL = (
    "generalised confidence interval for Gaussian wells of any two spreads, Weerahandi, J. Am. Stat. Assoc. 88, 899 "
    "(1993); holds the true value in 93 to 97 % of plates from 3 wells a side on"
)
MAD = "with medians and 1.4826 x median absolute deviations x their small-sample factors"
CROUX = "Zhang 1999; Croux & Rousseeuw, Computational Statistics 1, 411 (1992)"


def text_column(name: str, definition: str, source: str = "") -> Column:
    return Column(name=name, dtype="string", unit="", definition=definition, source=source)


def count_column(name: str, unit: str, definition: str) -> Column:
    return Column(name=name, dtype="int64", unit=unit, definition=definition, source="")


def number_column(name: str, definition: str, source: str = "", unit: str = "") -> Column:
    return Column(name=name, dtype="float64", unit=unit, definition=definition, source=source)


def with_interval(name: str, definition: str, source: str) -> tuple[Column, ...]:
    return (
        number_column(name, definition, source),
        number_column(f"{name}_Low", f"lower end of the interval of {name}", _INTERVAL),
        number_column(f"{name}_High", f"upper end of the interval of {name}", _INTERVAL),
    )


def as_table(rows: Sequence[Mapping[str, object]], columns: tuple[Column, ...]) -> pd.DataFrame:
    """Frame with exactly ``columns``, of their types, with and without rows; texts that a row lacks are empty."""
    frame = pd.DataFrame(rows, columns=[column.name for column in columns])
    for column in columns:
        values = frame[column.name]
        if column.dtype == "string":
            frame[column.name] = values.astype(object).where(values.notna(), "")
        else:
            frame[column.name] = values.astype(np.dtype(column.dtype))
    return frame


_LOCATION = (
    count_column("Count_Wells", "wells", "wells of the condition that have a value of the readout"),
    count_column("Count_NegativeWells", "wells", "negative wells compared with that have a value of the readout"),
    number_column("Mean", "mean over the condition's wells", unit="as the readout"),
    number_column("SD", "standard deviation over the condition's wells (n - 1)", unit="as the readout"),
    number_column("Median", "median over the condition's wells", unit="as the readout"),
    number_column("NegativeMean", "mean over the negative wells", unit="as the readout"),
    number_column("NegativeSD", "standard deviation over the negative wells (n - 1)", unit="as the readout"),
)
_STATISTICS = (
    *with_interval("ZPrime", "1 - 3 (SD + SD of negatives) / |mean - mean of negatives|, over wells", ZHANG),
    *with_interval("RobustZPrime", f"Z' {MAD}", CROUX),
    *with_interval("SSMD", "(mean - mean of negatives) / sqrt(variance + variance of negatives)", SSMD),
    text_column("Reason", "why statistics are NaN; empty where all are numbers"),
    count_column("Count_Nuclei", "nuclei", "measured nuclei of the condition's wells that have a value"),
    count_column("Count_NegativeNuclei", "nuclei", "measured nuclei of these negative wells"),
    number_column("Nuclei_PerWell", "median over the condition's wells of their measured nuclei", unit="nuclei"),
    number_column("Nuclei_PerNegativeWell", "median over the negative wells of theirs", unit="nuclei"),
    text_column(
        "Verdict",
        "by the lower end of ZPrime: excellent from 0.5, marginal above 0, else uncertain; overlap where ZPrime is not "
        "above 0; withheld for the Verdict_Reason; empty without a ZPrime",
        ZHANG,
    ),
    text_column("Verdict_Reason", "why the verdict is withheld: fewer than min_nuclei measured nuclei a well"),
)
COMPOUND_COLUMNS: tuple[Column, ...] = (
    text_column("Metadata_Plate", "name of the plate"),
    text_column("Readout", "column of the well table that the row is about"),
    text_column("Compound", "compound", MAP),
    number_column("Dose", "dose of the compound", MAP, unit="see Unit"),
    text_column("Unit", "unit of the dose", MAP),
    text_column("Role", "sample or positive", MAP),
    text_column("Group", "group of the wells; empty where the map names none", MAP),
    text_column("Reference", "the negative controls compared with"),
    *_LOCATION,
    *_STATISTICS,
)
PLATE_COLUMNS: tuple[Column, ...] = (
    text_column("Metadata_Plate", "name of the plate"),
    text_column("Readout", "column of the well table that the row is about"),
    text_column("Group", "group whose controls are compared; empty for all controls of the plate", MAP),
    text_column("Reference", "which positive controls are compared with which negative controls"),
    *_LOCATION,
    *_STATISTICS,
    number_column("DNA_TwoN", "DNA content of the 2N peak", _DJF, unit="as Nuclei_DNA_Content"),
    number_column("DNA_CV", "coefficient of variation of the 2N peak", _DJF),
    number_column("DNA_FourNRatio", "DNA content of the 4N peak over that of the 2N peak", _DJF),
    count_column("DNA_Count_Nuclei", "nuclei", "nuclei the 2N peak was looked for in"),
    number_column("DNA_Saturated", "share of these nuclei with saturated DNA pixels; NaN where not recorded"),
    Column(name="DNA_Usable", dtype="bool", unit="", definition="DNA content can be put in units of N", source=""),
    text_column("DNA_Reason", "why the 2N peak is not usable"),
    text_column("DNA_SourceWells", "wells whose nuclei the 2N peak was looked for in"),
)
_FRACTION = "fraction of the single nuclei {}, by the Dean-Jett-Fox fit of the well; NaN where it is refused"
_CDK2 = "fraction of the single nuclei with a sensor ratio that are {}; CDK2-high as in sensor, phase by DNA content"
_WELL_COLUMNS: tuple[Column, ...] = (
    text_column("Metadata_Plate", "name of the plate"),
    text_column("Metadata_Well", "well, row letters and two-digit column"),
    text_column("Metadata_Role", "negative, positive, sample, empty; nothing for wells not on the map", MAP),
    text_column("Metadata_Compound", "compound", MAP),
    number_column("Metadata_Dose", "dose of the compound", MAP, unit="see Metadata_Unit"),
    text_column("Metadata_Unit", "unit of the dose", MAP),
    text_column(
        "Status",
        "ok; empty (no nucleus); partial (some fields missing or excluded); failed (no field done); excluded (every "
        "field left out for its flags); pending",
    ),
    text_column("Reason", "fields that are not done, and why"),
    count_column("Fields_Expected", "fields", "fields of the well on the plate"),
    count_column("Fields_Ok", "fields", "fields that were processed, with or without nuclei"),
    count_column("Count_Nuclei", "nuclei", "all nuclei of the well"),
    number_column(
        "Count_Dead",
        "nuclei of the well that are dead cells, by the limits in dead; NaN where these are not known",
        unit="nuclei",
    ),
    number_column("Fraction_Dead", "Count_Dead / Count_Nuclei; NaN without nuclei"),
    number_column(
        "Count_LivingPerField",
        "(Count_Nuclei - Count_Dead) / the sum of Fraction_Recorded over the fields that are done: what toxicity is "
        "told by; all nuclei where dead ones cannot be told",
        unit="nuclei a field",
    ),
    count_column("Count_Duplicates", "nuclei", "nuclei left out because another field shows them too; see duplicates"),
    count_column("Count_Nuclei_Measured", "nuclei", "nuclei that means, medians and fractions are made of"),
    number_column("Fraction_SubG1", _FRACTION.format("below G1: fragments, dying cells"), _DJF),
    number_column("Fraction_G1", _FRACTION.format("in G1 (2N)"), _DJF),
    number_column("Fraction_S", _FRACTION.format("in S (between 2N and 4N)"), _DJF),
    number_column("Fraction_G2M", _FRACTION.format("in G2 or M (4N)"), _DJF),
    number_column("Fraction_Above4N", _FRACTION.format("above 4N: polyploid nuclei"), _DJF),
    number_column("Fraction_4N", "the same as Fraction_G2M", "Caicedo et al., Cytometry A 95, 952 (2019)"),
    number_column(
        "Fraction_4N_Caicedo",
        "fraction of the measured nuclei within the 4N gate of phase_gates_n, mean over images; plates are aligned on "
        "the negatives' 2N peak",
        "Caicedo et al., Cytometry A 95, 952 (2019)",
    ),
    text_column("Cycle_Reason", "why the well has no cell-cycle fractions; empty where it has"),
    number_column("Fraction_CDK2_G0G1Low", _CDK2.format("in G0 or G1 and CDK2-low")),
    number_column("Fraction_CDK2_G1High", _CDK2.format("in G1 and CDK2-high")),
    number_column("Fraction_CDK2_S", _CDK2.format("in S")),
    number_column("Fraction_CDK2_G2", _CDK2.format("in G2 or M")),
    number_column(
        "Fraction_SensorHighMixture",
        "fraction of the single nuclei with a sensor ratio above Threshold_Mixture of sensor; NaN without one",
    ),
    number_column("Fraction_Recorded", "mean over the well's fields that are done of Fraction_Recorded of fields"),
    text_column("Flags", "flags of the well's fields, each once, parted by ;; see fields"),
    count_column("Fields_Flagged", "fields", "fields of the well that have any flag"),
    number_column("Fraction_SensorHigh", "fraction of the measured nuclei with a sensor ratio above sensor_threshold"),
    number_column(
        "Fraction_Micronucleated",
        "fraction of the measured nuclei with a Nuclei_Micronuclei_Count of 1 or more; where micronuclei were not "
        "looked for, the column is absent",
        "hcs",
    ),
    text_column(
        "Metadata_NucleiChannel",
        "channel in which nuclei were found, where that is the sensor's; else the column is absent",
        "hcs",
    ),
    number_column(
        "Fraction_SensorMedium",
        "fraction of the measured nuclei with a sensor ratio from 0.5 to 1, which are found worst in the sensor's own "
        "channel; NaN without a ratio",
        "hcs",
    ),
    number_column(
        "Bias_Nuclei_Sensor_Ratio",
        "estimate of how much higher the mean sensor ratio is than if all nuclei had been found and nothing else: "
        "nuclei weighted by precision over recall of their range of ratio, as the model's card has them; NaN where it "
        "has none, or without a ratio",
        "hcs",
    ),
)


def well_columns(
    table: pd.DataFrame, *, nucleus: Iterable[Column] = (), further: Iterable[Column] = ()
) -> tuple[Column, ...]:
    """Definitions of the columns of a well table, in its order.

    ``nucleus`` is the nucleus table's dictionary; it gives units and definitions to means and medians. ``further`` are
    columns that were added, such as those read from tracks.
    """
    fixed = {column.name: column for column in (*_WELL_COLUMNS, *further)}
    features = {column.name: column for column in nucleus}
    return tuple(fixed.get(name) or _derived(name, features) for name in map(str, table.columns))


def _derived(name: str, features: dict[str, Column]) -> Column:
    """Definition of a mean or median of a nucleus column, or of a further column of the plate map."""
    kind, _, feature = name.partition("_")
    if kind == "Metadata":
        return text_column(name, f"plate-map column {feature}", MAP)
    known = features.get(feature)
    what = f"{kind.lower()} over the measured nuclei of {feature}"
    if known is None:
        return number_column(name, what)
    return number_column(name, f"{what}: {known.definition}", known.source, unit=known.unit)


_WILSON = "Wilson 1927, J. Am. Stat. Assoc. 22:209"
_PAIRS = "difference in {} between the run's nuclei and their partners, without sign"

SEAM_COLUMNS: tuple[Column, ...] = (
    text_column("Where", "seam: boxes of nuclei within 8 px of where parts of a field meet; interior: all others"),
    count_column("Count_Nuclei", "nuclei", "nuclei of the run in the places looked at"),
    count_column("Count_Lost", "nuclei", "of these, those that a shifted grid does not give"),
    count_column("Count_Gained", "nuclei", "nuclei that only the shifted grid gives"),
    count_column("Count_Changed", "nuclei", "nuclei of both that differ in area or box"),
    number_column("Fraction_Different", "lost, gained and changed over Count_Nuclei; NaN without nuclei"),
    number_column("Fraction_Different_Low", "lower end of the 95 % interval of Fraction_Different", _WILSON),
    number_column("Fraction_Different_High", "upper end of the 95 % interval of Fraction_Different", _WILSON),
    number_column("Median_Area_Percent", f"median {_PAIRS.format('area')}", unit="%"),
    number_column("Max_Area_Percent", f"largest {_PAIRS.format('area')}", unit="%"),
    number_column("Median_DNA_Percent", f"median {_PAIRS.format('Nuclei_DNA_Content')}", unit="%"),
    number_column("Max_DNA_Percent", f"largest {_PAIRS.format('Nuclei_DNA_Content')}", unit="%"),
)
