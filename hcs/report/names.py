"""Columns of tables in words that a screener reads; tables and figures of the page share them."""

from __future__ import annotations

import re

_WHOLE = {
    "Fraction_SubG1": "Sub-G1 fraction",
    "Fraction_G1": "G1 fraction",
    "Fraction_S": "S fraction",
    "Fraction_G2M": "G2/M fraction",
    "Fraction_Above4N": "Fraction above 4N",
    "Fraction_4N": "4N fraction",
    "Fraction_SensorHigh": "Fraction with a high sensor ratio",
    "Fraction_SensorHighMixture": "Fraction with a high sensor ratio, from the mixture",
    "Fraction_Micronucleated": "Fraction of nuclei with micronuclei",
    "Count_Nuclei": "Nuclei",
    "Count_Nuclei_Measured": "Nuclei measured",
    "Count_Dead": "Dead nuclei",
    "Fraction_Dead": "Fraction of dead nuclei",
    "Count_LivingPerField": "Living nuclei a field",
    "Count_PerField": "Nuclei a field",
    "Mean_NucleusCytoplasm": "Mean nucleus over cytoplasm",
    "Live_CycleMin": "Length of the cycle (min)",
    "Live_HoursPerDivision": "Hours a division",
    "Live_DivisionsPerDay": "Divisions a day",
    "Live_DeathsPerDay": "Deaths a day",
    "Live_GrowthPerDay": "Growth a day",
    "Fraction_LiveReentered": "Fraction that enters the next cycle",
    "Live_NucleusCytoplasm": "Nucleus over cytoplasm before the light",
    "Live_NuclearLoss": "Share of the nucleus that light takes",
    "Live_ExportHalfMin": "Half-time of export (min)",
    "Live_RecoveryHalfMin": "Half-time of recovery (min)",
}
_FEATURES = {
    "Nuclei_Sensor_Ratio": "sensor ratio",
    "Nuclei_Sensor_LogRatio": "log₂ sensor ratio",
    "Nuclei_Sensor_RatioMixture": "sensor ratio from the mixture",
    "Nuclei_Sensor_CytoplasmShare": "share of ring pixels in the cytoplasm",
    "Nuclei_DNA_Content": "DNA content",
    "Nuclei_DNA_ContentN": "DNA content (N)",
    "Nuclei_AreaShape_Area": "nuclear area",
    "Cytoplasm_AreaShape_Area": "ring area",
    "Nuclei_Confidence": "segmentation confidence",
    "Nuclei_Micronuclei_Count": "number of micronuclei",
    "Nuclei_Micronuclei_Area": "area of micronuclei",
}
_ROOMS = {"Nuclei": "", "Cytoplasm": "ring "}
_KINDS = {"Mean": "Mean", "Median": "Median", "SD": "SD of", "Fraction": "Fraction"}


def readout_name(column: str) -> str:
    """A well readout in words: ``Mean_Nuclei_Sensor_Ratio`` is "Mean sensor ratio"; an unknown one with spaces."""
    if column in _WHOLE:
        return _WHOLE[column]
    kind, _, feature = column.partition("_")
    if kind not in _KINDS or not feature:
        return column.replace("_", " ")
    return f"{_KINDS[kind]} {feature_name(feature)}"


def feature_name(column: str) -> str:
    """A column of the nucleus table in words."""
    if column in _FEATURES:
        return _FEATURES[column]
    room, _, rest = column.partition("_")
    kind, _, feature = rest.partition("_")
    if room not in _ROOMS or kind not in ("AreaShape", "Intensity") or not feature:
        return column.replace("_", " ")
    name, _, channel = feature.partition("_") if kind == "Intensity" else (feature.replace("_", " "), "", "")
    words = " ".join(
        word if word.isupper() else word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[^A-Z]+", name)
    )
    return f"{_ROOMS[room]}{' '.join(words.split())}" + (f" in {channel.replace('_', ' ')}" if channel else "")
