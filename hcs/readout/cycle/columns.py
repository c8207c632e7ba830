"""Columns of the tables of the cell cycle: fits by well, phases by nucleus, the sensor's threshold."""

from __future__ import annotations

from hcs.columns import Column
from hcs.readout.columns import count_column, number_column, text_column

PHASES = ("SubG1", "G1", "S", "G2M", "Above4N")
"""By DNA content."""
GATES = ("single", "doublet", "debris", "border", "dead")
"""What an object is, before it has a phase."""
_DJF = "after Dean & Jett, J. Cell Biol. 60, 523 (1974); Fox, Cytometry 1, 71 (1980)"
_WATSON = "after Watson, Chambers & Smith, Cytometry 8, 1 (1987)"
_ASHMAN = "Ashman, Bird & Zepf, Astron. J. 108, 2348 (1994)"
_MEANINGS = {
    "SubG1": "below G1",
    "G1": "in G1 (2N)",
    "S": "in S (between 2N and 4N)",
    "G2M": "in G2 or M (4N)",
    "Above4N": "above 4N",
}


def _float32(name: str, definition: str, source: str) -> Column:
    return Column(name=name, dtype="float32", unit="", definition=definition, source=source)


CYCLE_COLUMNS: tuple[Column, ...] = (
    text_column("Metadata_Plate", "name of the plate"),
    text_column("Metadata_Well", "well; empty for the plate, of whose negative controls' nuclei that row is made"),
    text_column(
        "Model", "watson: two Gaussian peaks, S as found between them; djf: Dean-Jett-Fox", f"{_WATSON}; {_DJF}"
    ),
    *(number_column(f"Fraction_{name}", f"fraction of the single nuclei {_MEANINGS[name]}") for name in PHASES),
    *(
        number_column(
            f"Margin_{name}",
            f"half-width of what the fit leaves open about Fraction_{name}: chance and model (95 %), and S cells under "
            "the peaks, which no histogram shows; NaN for watson",
        )
        for name in PHASES
    ),
    number_column("Wave", "fraction of the single nuclei that stand together in S, as a block holds or lets go"),
    number_column("Wave_N", "DNA content at which they stand; NaN without", unit="N"),
    number_column("TwoN", "DNA content of the well's G1 peak; away from 2 where its stain differs", unit="N"),
    number_column(
        "CV_G1", "coefficient of variation of the G1 peak; for the plate with its wells moved onto one another"
    ),
    number_column("Ratio_G2G1", "DNA content of the G2M peak over that of the G1 peak"),
    number_column(
        "Misfit",
        "largest distance between the cumulative histograms of nuclei and model (Kolmogorov-Smirnov), from where G1 "
        "begins to where G2M ends",
    ),
    count_column("Count_Nuclei", "nuclei", "single nuclei off the border that the fit is made of"),
    count_column("Count_Gated", "nuclei", "doublets and debris left out"),
    text_column("Reason", "why there is no fit; empty where there is one"),
)
PHASE_COLUMNS: tuple[Column, ...] = (
    text_column("Metadata_Plate", "name of the plate"),
    text_column("Metadata_Well", "well, row letters and two-digit column"),
    Column("Metadata_Site", "int32", "", "field, as in nuclei", "plate metadata"),
    Column("Metadata_ObjectNumber", "int64", "", "nucleus, as in nuclei", "hcs"),
    Column(
        "Gate",
        "category",
        "",
        f"one of {', '.join(GATES)}. debris: DNA content below cycle.debris_n or area below cycle.debris_area of the "
        "typical 2N nucleus; doublet: content of at least cycle.doublet_n, area of at least cycle.doublet_area typical "
        "nuclei, and solidity cycle.doublet_spread robust standard deviations below theirs; border: not measured; "
        "dead: a dead cell that is left out, by the limits in dead",
        "hcs",
    ),
    Column(
        "Phase",
        "category",
        "",
        "most probable phase of a single nucleus, one of " + ", ".join(PHASES) + "; null without a fit of its well",
        _DJF,
    ),
    *(
        _float32(
            f"Probability_{name}",
            f"posterior probability that the single nucleus is {_MEANINGS[name]}, by DNA content under the "
            "Dean-Jett-Fox fit of its well; NaN without one",
            _DJF,
        )
        for name in PHASES
    ),
    Column("CDK2_State", "category", "", "high where the sensor ratio lies above Threshold of sensor, else low", "hcs"),
    Column(
        "CDK2_Phase",
        "category",
        "",
        "G0/G1 CDK2-low, G1 CDK2-high, S or G2, by Phase and CDK2_State; null below G1, above 4N, without a ratio",
        "hcs",
    ),
)
SENSOR_COLUMNS: tuple[Column, ...] = (
    text_column("Metadata_Plate", "name of the plate"),
    number_column("Threshold", "sensor ratio above which a nucleus is CDK2-high: of the mixture, else the fixed one"),
    number_column(
        "Threshold_Mixture",
        "ratio at which a nucleus is as likely in one as in the other of two Gaussians on log ratio; NaN if refused",
        "expectation-maximisation",
    ),
    number_column("Threshold_Fixed", "readout.sensor_threshold"),
    number_column("Ratio_Low", "geometric mean ratio of the lower component"),
    number_column("Ratio_High", "geometric mean ratio of the higher component"),
    number_column("Share_High", "share of the nuclei in the higher component"),
    number_column("Separation", "Ashman's D of the two components", _ASHMAN),
    count_column("Count_Nuclei", "nuclei", "single nuclei with a ratio that the mixture was looked for in"),
    text_column("SourceWells", "wells these nuclei come from"),
    text_column("Reason", "why there is no mixture; empty where there is one"),
)
