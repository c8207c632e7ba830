"""Columns of the nucleus table: name, dtype, unit, definition and source, for a given set of channels."""

from __future__ import annotations

from dataclasses import replace

from hcs.columns import CLASS, SCORE, Column
from hcs.errors import ConfigError
from hcs.measure.compartment_columns import compartment_columns

REGIONPROPS = "scikit-image regionprops"
HCS = "hcs"


def column_dictionary(
    channels: tuple[str, ...],
    dna: str | None,
    sensor: str | None,
    cells: str | None = None,
    *,
    micronuclei: bool = False,
    kinds: tuple[str, ...] = (),
) -> tuple[Column, ...]:
    """Every column that ``measure_nuclei`` gives, in the table's order.

    The sensor's columns are absent where there is no sensor, DNA content and ``micronuclei`` where there is no DNA
    channel, and the kind where the network tells no ``kinds``. With whole ``cells``, grown in that channel, there are
    columns of cells and cytoplasm, as CellProfiler names them, and the ring's, which are called Cytoplasm_ without, are
    called Ring_. Raises ConfigError where ``dna``, ``sensor`` or ``cells`` is not among the channels, and for channel
    names that cannot be told apart in column names.
    """
    suffixes = channel_suffixes(channels)
    for role, channel in (("DNA", dna), ("sensor", sensor), ("cells'", cells)):
        if channel is not None and channel not in suffixes:
            raise ConfigError(f"{role} channel {channel!r} is not measured; choose one of {', '.join(channels)}")
    intensities = tuple(c for name, suffix in suffixes.items() for c in _intensity(name, suffix))
    rings = tuple(c for name, suffix in suffixes.items() for c in _ring(name, suffix))
    saturated = tuple(_saturated(name, suffix) for name, suffix in suffixes.items())
    sensors = _sensor(sensor) if sensor is not None else ()
    ring = (_RING_AREA, *rings)
    if cells is not None:
        ring = tuple(replace(column, name=ring_name(column.name)) for column in ring)
    return (
        *_SHAPE,
        *intensities,
        *ring,
        *((_dna_content(dna),) if dna is not None else ()),
        *sensors,
        *_FLAGS,
        *saturated,
        _CONFIDENCE,
        *(compartment_columns(suffixes, _SHAPE, grown_in=cells, sensor=sensor) if cells is not None else ()),
        *(_MICRONUCLEI if micronuclei and dna is not None else ()),
        *(_kind(kinds) if kinds else ()),
    )


def ring_name(name: str) -> str:
    """What a column of the ring is called where there are whole cells, whose cytoplasm has its name."""
    return name.replace("Cytoplasm_", "Ring_", 1) if name.startswith("Cytoplasm_") else name


def channel_suffixes(channels: tuple[str, ...]) -> dict[str, str]:
    """Channel name → its letters and digits, as column names end.

    Raises ConfigError for no channels, a name without letters or digits, and two names that become the same.
    """
    if not channels:
        raise ConfigError("no channels to measure; give at least the one with the nuclei")
    suffixes: dict[str, str] = {}
    for channel in channels:
        suffix = "".join(letter for letter in channel if letter.isalnum())
        if not suffix:
            raise ConfigError(f"channel name {channel!r} has no letter or digit to name columns by; rename it")
        for other, taken in suffixes.items():
            if taken == suffix:
                raise ConfigError(f"channels {other!r} and {channel!r} both give columns …_{suffix}; rename one")
        suffixes[channel] = suffix
    return suffixes


_SHAPE = (
    Column("Metadata_ObjectNumber", "int64", "", "Value of the nucleus in the label image", HCS),
    Column("Nuclei_AreaShape_Area", "int32", "px", "Number of pixels", REGIONPROPS),
    Column("Nuclei_AreaShape_AreaUm2", "float64", "um2", "Area × pixel size²; NaN if that is unknown", HCS),
    Column("Nuclei_AreaShape_Center_X", "float32", "px", "Mean column of the pixels, from 0", REGIONPROPS),
    Column("Nuclei_AreaShape_Center_Y", "float32", "px", "Mean row of the pixels, from 0", REGIONPROPS),
    Column("Nuclei_AreaShape_BoundingBoxMinimum_X", "int32", "px", "First column", REGIONPROPS),
    Column("Nuclei_AreaShape_BoundingBoxMinimum_Y", "int32", "px", "First row", REGIONPROPS),
    Column("Nuclei_AreaShape_BoundingBoxMaximum_X", "int32", "px", "Last column + 1", REGIONPROPS),
    Column("Nuclei_AreaShape_BoundingBoxMaximum_Y", "int32", "px", "Last row + 1", REGIONPROPS),
    Column(
        "Nuclei_AreaShape_Perimeter",
        "float32",
        "px",
        "Length of the line through the centres of the 4-connected border's pixels; 0 for a single pixel",
        f"{REGIONPROPS}; Benkrid & Crookes 2000",
    ),
    Column(
        "Nuclei_AreaShape_Eccentricity",
        "float32",
        "",
        "Focal distance over major axis of the ellipse with the same second moments: 0 circle, 1 line",
        REGIONPROPS,
    ),
    Column(
        "Nuclei_AreaShape_Solidity",
        "float32",
        "",
        "Area over the number of pixel centres in or on the convex hull of the pixels' edge midpoints",
        REGIONPROPS,
    ),
    Column(
        "Nuclei_AreaShape_MajorAxisLength",
        "float32",
        "px",
        "Full major axis of the ellipse with the same second moments",
        REGIONPROPS,
    ),
    Column(
        "Nuclei_AreaShape_MinorAxisLength",
        "float32",
        "px",
        "Full minor axis of the ellipse with the same second moments",
        REGIONPROPS,
    ),
    Column(
        "Nuclei_AreaShape_Orientation",
        "float32",
        "rad",
        "Angle from the vertical axis to the major axis, -pi/2 to pi/2, counter-clockwise; -pi/4 for a round "
        "nucleus (CellProfiler gives the same angle in degrees)",
        REGIONPROPS,
    ),
)

_RING_AREA = Column(
    "Cytoplasm_AreaShape_Area",
    "int32",
    "px",
    "Pixels of the ring: outside all nuclei, farther than ring_gap_px and at most ring_gap_px + "
    "ring_width_px (by ring_width_um where the pixel size is known; run.json has them) "
    "from the nearest one, centre to centre, which is this one (of equally near ones the one "
    "with the lowest label)",
    HCS,
)

_FLAGS = (
    Column(
        "Nuclei_Flag_TouchesBorder",
        "bool",
        "",
        "A pixel lies in the field's first or last row or column, or beside pixels that were not recorded",
        HCS,
    ),
    Column(
        "Nuclei_Flag_FieldBackground",
        "bool",
        "",
        "Too few background pixels near the nucleus: its local backgrounds are the field's",
        HCS,
    ),
)

_CONFIDENCE = Column(
    "Nuclei_Confidence",
    "float32",
    "",
    "Mean over the nucleus of the segmentation's confidence; NaN without one",
    HCS,
)


_MICRONUCLEUS_SOURCE = (
    "hcs; trained on masks of DiPeso et al., MNFinder (2024); counted beside nuclei as by Caicedo et al., Cytometry A "
    "95, 952 (2019)"
)
_MICRONUCLEI = (
    Column(
        "Nuclei_Micronuclei_Count",
        "int32",
        "",
        "Micronuclei in the DNA channel of which this nucleus is the nearest one, at most one median nucleus diameter "
        "of the field away and of at least 0.15 median areas; one may lie in the nucleus's edge, or be a small nucleus "
        "of the table itself. 0 as well where the field's nuclei measure less than 12 px across",
        _MICRONUCLEUS_SOURCE,
    ),
    Column(
        "Nuclei_Micronuclei_Area",
        "int32",
        "px",
        "Pixels of these micronuclei, each down to the share of its height above a white top-hat's floor, from 0.18 to "
        "0.7, at which it is told best",
        _MICRONUCLEUS_SOURCE,
    ),
    Column(
        "Metadata_FirstMicronucleus",
        "int32",
        "",
        "Number of the first of these micronuclei in the field's labels of micronuclei; the others have the numbers "
        "that follow. 0 where the nucleus has none",
        HCS,
    ),
)


def _kind(kinds: tuple[str, ...]) -> tuple[Column, ...]:
    source = "hcs; Van Valen et al., PLoS Comput. Biol. 12, e1005177 (2016)"
    return (
        Column(
            CLASS,
            "string",
            "",
            f"Kind of the nucleus, of {', '.join(kinds)}: that with the highest Nuclei_Class_Score; empty where nobody "
            "knows, as of nuclei that were edited by hand",
            source,
        ),
        Column(
            SCORE,
            "float32",
            "",
            "Sum over the nucleus's pixels of the network's probability of that kind's interior, over that of the "
            "interiors of all kinds; near one half the nucleus could be of either of two; NaN where nobody knows",
            source,
        ),
    )


def _intensity(channel: str, suffix: str) -> tuple[Column, ...]:
    def column(feature: str, dtype: str, definition: str, source: str) -> Column:
        return Column(f"Nuclei_Intensity_{feature}_{suffix}", dtype, "grey levels", definition, source)

    within = f"of the nucleus's pixels in channel {channel}"
    return (
        column("MeanIntensity", "float32", f"Mean {within}", REGIONPROPS),
        column("MedianIntensity", "float32", f"Median {within}", "numpy.median"),
        column("StdIntensity", "float32", f"Population standard deviation {within}", REGIONPROPS),
        column("MinIntensity", "float32", f"Lowest {within}", REGIONPROPS),
        column("MaxIntensity", "float32", f"Highest {within}", REGIONPROPS),
        column("IntegratedIntensity", "float64", f"Sum {within}", "CellProfiler MeasureObjectIntensity"),
        column(
            "LocalBackground",
            "float32",
            f"Mean of the central half, by value, of the pixels in channel {channel} up to local_width_px "
            "beyond the nucleus's ring, nearest to it and outside all nuclei, gaps and rings; with fewer "
            "than local_min_px of these, of all pixels outside nuclei, gaps and rings in the bounding box "
            "grown by 1, 2 or 4 times ring_gap_px + ring_width_px + local_width_px; else the field's "
            "background (flagged)",
            f"{HCS}; midmean after Tukey 1977",
        ),
    )


def _ring(channel: str, suffix: str) -> tuple[Column, ...]:
    return tuple(
        Column(
            f"Cytoplasm_Intensity_{feature}Intensity_{suffix}",
            "float32",
            "grey levels",
            f"{feature} of the ring's pixels in channel {channel}; NaN without a ring",
            HCS,
        )
        for feature in ("Mean", "Median")
    )


def _saturated(channel: str, suffix: str) -> Column:
    return Column(
        f"Nuclei_Flag_SaturatedPixels_{suffix}",
        "int32",
        "px",
        f"Pixels of the nucleus in channel {channel} at or above saturation_level, by default the "
        "largest value of an integer image's dtype; 0 for float images without a level",
        HCS,
    )


def _dna_content(dna: str) -> Column:
    return Column(
        "Nuclei_DNA_Content",
        "float64",
        "grey levels",
        f"Integrated intensity in channel {dna} minus its local background × area",
        HCS,
    )


def _sensor(sensor: str) -> tuple[Column, ...]:
    return (
        Column(
            "Nuclei_Sensor_Ratio",
            "float32",
            "",
            f"(ring mean - field background) / (nucleus mean - field background) in channel {sensor}; "
            "with measure.sensor_ratio = dhb the median of the ring's upper half and the nucleus median instead; "
            "NaN where no background could be told from cells, with fewer than ring_min_px ring pixels, "
            "or a nucleus not above the background (in integer images, by "
            "sensor_min_signal grey levels). Field "
            "background: percentile background_percentile of the field's means of squares of "
            "background_block_px pixels",
            HCS,
        ),
        Column(
            "Nuclei_Sensor_LogRatio",
            "float32",
            "",
            "Logarithm to base 2 of the sensor ratio; NaN where that is NaN or not above 0",
            HCS,
        ),
        Column(
            "Nuclei_Sensor_RatioMixture",
            "float32",
            "",
            f"The sensor ratio in channel {sensor} with the ring's cytoplasm in place of the ring: the mean of the "
            "brighter of two Gaussians fitted to its pixels, if the dimmer one is background (at most half as far "
            "above the field background, Ashman's D of at least 2, ring_min_px pixels in the brighter one; else of the "
            "whole ring); NaN where Nuclei_Sensor_Ratio is",
            "Van Valen et al., PLoS Comput. Biol. 12, e1005177 (2016)",
        ),
        Column(
            "Nuclei_Sensor_CytoplasmShare",
            "float32",
            "",
            f"Share of the ring's pixels in channel {sensor} that are in that brighter component; 1 where the ring is "
            "one population, NaN without a ring",
            HCS,
        ),
    )
