"""Columns of whole cells and their cytoplasm: name, dtype, unit, definition and source.

In a file without the measuring, so that reading a table's columns loads no compiled code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hcs.columns import Column

STATISTICS = ("Mean", "Median", "Std", "Min", "Max", "Integrated")
_WORDS = {
    "Mean": "Mean",
    "Median": "Median",
    "Std": "Population standard deviation",
    "Min": "Lowest",
    "Max": "Highest",
    "Integrated": "Sum",
}
RATIOS = ("Nuclei_Sensor_RatioCytoplasm", "Nuclei_Sensor_RatioCytoplasmMixture")
"""Sensor ratios over the whole cytoplasm."""


def compartment_columns(
    suffixes: Mapping[str, str], shapes: tuple[Column, ...], *, grown_in: str, sensor: str | None
) -> tuple[Column, ...]:
    """The columns above, for channels by name and suffix; ``shapes`` are those of nuclei, whose definitions hold for
    cells too, and ``grown_in`` is the channel in which cells were grown."""
    cell = f"the cell, grown from the nucleus in channel {grown_in}"
    return (
        *(_of_cells(column) for column in shapes if column.name.startswith("Nuclei_AreaShape_")),
        Column(
            "Cytoplasm_AreaShape_Area",
            "int32",
            "px",
            f"Pixels of {cell}, that are not the nucleus'; 0 where nothing was seen to grow into",
            "hcs; CellProfiler IdentifyTertiaryObjects",
        ),
        Column(
            "Cytoplasm_AreaShape_AreaUm2",
            "float64",
            "um2",
            "Area of the cytoplasm × pixel size²; NaN if that is unknown",
            "hcs",
        ),
        *(
            Column(
                f"{name}_Intensity_{feature}Intensity_{suffix}",
                "float64" if feature == "Integrated" else "float32",
                "grey levels",
                f"{_WORDS[feature]} of the {whose} pixels in channel {channel}"
                + ("; NaN where the cytoplasm has none" if name == "Cytoplasm" else ""),
                "CellProfiler MeasureObjectIntensity",
            )
            for channel, suffix in suffixes.items()
            for name, whose in (("Cells", "cell's"), ("Cytoplasm", "cytoplasm's"))
            for feature in STATISTICS
        ),
        *(_sensor(sensor) if sensor is not None else ()),
        Column(
            "Cells_Flag_TouchesBorder",
            "bool",
            "",
            "A pixel of the cell lies in the field's first or last row or column: the cell may be cut",
            "hcs",
        ),
    )


def _of_cells(column: Column) -> Column:
    return replace(
        column,
        name=column.name.replace("Nuclei_", "Cells_"),
        definition=column.definition.replace("nucleus", "cell") + ", of the whole cell",
    )


def _sensor(sensor: str) -> tuple[Column, ...]:
    over, bright = RATIOS
    return (
        Column(
            over,
            "float32",
            "",
            f"The sensor ratio in channel {sensor} with the whole cytoplasm in place of the ring: (cytoplasm mean - "
            "field background) / (nucleus mean - field background); NaN with fewer than ring_min_px pixels of "
            "cytoplasm, and where the nucleus has no ratio",
            "hcs",
        ),
        Column(
            bright,
            "float32",
            "",
            "The same over the brighter of two Gaussians fitted to the cytoplasm's pixels: without the thin rim, "
            "whatever that one's brightness (over all of it where the brighter one has fewer than ring_min_px pixels)",
            "Van Valen et al., PLoS Comput. Biol. 12, e1005177 (2016)",
        ),
    )
