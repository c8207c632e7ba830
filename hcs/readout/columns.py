"""Column dictionary of the well, compound and plate tables: unit, definition and source of every column."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from hcs.measure.columns import Column

_ZHANG = "Zhang, Chung & Oldenburg, J. Biomol. Screen. 4, 67 (1999)"
_SSMD = "Zhang, Genomics 89, 552 (2007)"
_DJF = "after Dean & Jett, J. Cell Biol. 60, 523 (1974); Fox, Cytometry 1, 71 (1980)"
_MAP = "plate map"
_INTERVAL = "percentile bootstrap over wells, each side resampled by itself; approximate below 8 wells a side"


def _text(name: str, definition: str, source: str = "") -> Column:
    return Column(name=name, dtype="string", unit="", definition=definition, source=source)


def _count(name: str, unit: str, definition: str) -> Column:
    return Column(name=name, dtype="int64", unit=unit, definition=definition, source="")


def _number(name: str, definition: str, source: str = "", unit: str = "") -> Column:
    return Column(name=name, dtype="float64", unit=unit, definition=definition, source=source)


def _with_interval(name: str, definition: str, source: str) -> tuple[Column, ...]:
    return (
        _number(name, definition, source),
        _number(f"{name}_Low", f"lower end of the interval of {name}", _INTERVAL),
        _number(f"{name}_High", f"upper end of the interval of {name}", _INTERVAL),
    )


_LOCATION = (
    _count("Count_Wells", "wells", "wells of the condition that have a value of the readout"),
    _count("Count_NegativeWells", "wells", "negative wells compared with that have a value of the readout"),
    _number("Mean", "mean over the condition's wells", unit="as the readout"),
    _number("SD", "standard deviation over the condition's wells (n - 1)", unit="as the readout"),
    _number("Median", "median over the condition's wells", unit="as the readout"),
    _number("NegativeMean", "mean over the negative wells", unit="as the readout"),
    _number("NegativeSD", "standard deviation over the negative wells (n - 1)", unit="as the readout"),
)
_STATISTICS = (
    *_with_interval("ZPrime", "1 - 3 (SD + SD of negatives) / |mean - mean of negatives|, over wells", _ZHANG),
    *_with_interval("RobustZPrime", "Z' with medians and 1.4826 x median absolute deviations", _ZHANG),
    *_with_interval("SSMD", "(mean - mean of negatives) / sqrt(variance + variance of negatives)", _SSMD),
    _text("Reason", "why statistics are NaN; empty where all are numbers"),
    _text("Note", "how many resamples the intervals leave out, as they had no spread"),
)
COMPOUND_COLUMNS: tuple[Column, ...] = (
    _text("Metadata_Plate", "name of the plate"),
    _text("Readout", "column of the well table that the row is about"),
    _text("Compound", "compound", _MAP),
    _number("Dose", "dose of the compound", _MAP, unit="see Unit"),
    _text("Unit", "unit of the dose", _MAP),
    _text("Role", "sample or positive", _MAP),
    _text("Group", "group of the wells; empty where the map names none", _MAP),
    _text("Reference", "the negative controls compared with"),
    *_LOCATION,
    *_STATISTICS,
)
PLATE_COLUMNS: tuple[Column, ...] = (
    _text("Metadata_Plate", "name of the plate"),
    _text("Readout", "column of the well table that the row is about"),
    _text("Group", "group whose controls are compared; empty for all controls of the plate", _MAP),
    _text("Reference", "which positive controls are compared with which negative controls"),
    *_LOCATION,
    *_STATISTICS,
    _number("DNA_TwoN", "DNA content of the 2N peak", _DJF, unit="as Nuclei_DNA_Content"),
    _number("DNA_CV", "coefficient of variation of the 2N peak", _DJF),
    _number("DNA_FourNRatio", "DNA content of the 4N peak over that of the 2N peak", _DJF),
    _count("DNA_Count_Nuclei", "nuclei", "nuclei the 2N peak was looked for in"),
    _number("DNA_Saturated", "share of these nuclei with saturated DNA pixels; NaN where not recorded"),
    Column(name="DNA_Usable", dtype="bool", unit="", definition="DNA content can be put in units of N", source=""),
    _text("DNA_Reason", "why the 2N peak is not usable"),
    _text("DNA_SourceWells", "wells whose nuclei the 2N peak was looked for in"),
)
_FRACTION = "fraction of the measured nuclei {}; mean posterior probability under the fitted phase model"
_WELL_COLUMNS: tuple[Column, ...] = (
    _text("Metadata_Plate", "name of the plate"),
    _text("Metadata_Well", "well, row letters and two-digit column"),
    _text("Metadata_Role", "negative, positive, sample, empty; nothing for wells not on the map", _MAP),
    _text("Metadata_Compound", "compound", _MAP),
    _number("Metadata_Dose", "dose of the compound", _MAP, unit="see Metadata_Unit"),
    _text("Metadata_Unit", "unit of the dose", _MAP),
    _text("Status", "ok; empty (no nucleus); partial (some fields missing); failed (no field done); pending"),
    _text("Reason", "fields that are not done, and why"),
    _count("Fields_Expected", "fields", "fields of the well on the plate"),
    _count("Fields_Ok", "fields", "fields that were processed, with or without nuclei"),
    _count("Count_Nuclei", "nuclei", "all nuclei of the well"),
    _count("Count_Nuclei_Measured", "nuclei", "nuclei that means, medians and fractions are made of"),
    _number("Fraction_SubG1", _FRACTION.format("below G1: fragments, dying cells"), _DJF),
    _number("Fraction_G1", _FRACTION.format("in G1 (2N)"), _DJF),
    _number("Fraction_S", _FRACTION.format("in S (between 2N and 4N)"), _DJF),
    _number("Fraction_G2M", _FRACTION.format("in G2 or M (4N)"), _DJF),
    _number("Fraction_Above4N", _FRACTION.format("above 4N: polyploid or merged nuclei"), _DJF),
    _number("Fraction_4N", "the same as Fraction_G2M", "Caicedo et al., Cytometry A 95, 952 (2019)"),
    _number("Fraction_SensorHigh", "fraction of the measured nuclei with a sensor ratio above sensor_threshold"),
)


def well_columns(table: pd.DataFrame, *, nucleus: Iterable[Column] = ()) -> tuple[Column, ...]:
    """Definitions of the columns of a well table, in its order.

    ``nucleus`` is the nucleus table's dictionary; it gives units and definitions to means and medians.
    """
    fixed = {column.name: column for column in _WELL_COLUMNS}
    features = {column.name: column for column in nucleus}
    return tuple(fixed.get(name) or _derived(name, features) for name in map(str, table.columns))


def _derived(name: str, features: dict[str, Column]) -> Column:
    """Definition of a mean or median of a nucleus column, or of a further column of the plate map."""
    kind, _, feature = name.partition("_")
    if kind == "Metadata":
        return _text(name, f"plate-map column {feature}", _MAP)
    known = features.get(feature)
    what = f"{kind.lower()} over the measured nuclei of {feature}"
    if known is None:
        return _number(name, what)
    return _number(name, f"{what}: {known.definition}", known.source, unit=known.unit)
