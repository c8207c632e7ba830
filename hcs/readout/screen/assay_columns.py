"""Column dictionary of the tables on assay quality: assay, attribution, discriminant."""

from __future__ import annotations

from hcs.columns import Column
from hcs.readout.columns import CROUX, MAD, MAP, SSMD, ZHANG, count_column, number_column, text_column, with_interval

_SSMD_QC = "Zhang et al., J. Biomol. Screen. 13, 363 (2008)"
_GROUP = text_column("Group", "group of the controls; empty for all controls of the plate", MAP)
_PLATE = text_column("Metadata_Plate", "name of the plate")
_READOUT = text_column("Readout", "column of the well table that the row is about")
_WELLS = (
    count_column("Count_Positive", "wells", "positive wells that have a value"),
    count_column("Count_Negative", "wells", "negative wells that have a value"),
)
_THREE = (
    *with_interval("ZPrime", "1 - 3 (SD + SD) / |difference of the means|, of positive and negative wells", ZHANG),
    *with_interval("RobustZPrime", f"Z' {MAD}", CROUX),
)
_SSMD = with_interval("SSMD", "(mean of positives - mean of negatives) / sqrt(sum of variances)", SSMD)

ASSAY_COLUMNS: tuple[Column, ...] = (
    _PLATE,
    _READOUT,
    _GROUP,
    text_column("Transform", "scale: none (the readout's own), logit (of a fraction) or log (base 2, of a ratio)"),
    *_WELLS,
    *_THREE,
    number_column(
        "OneSidedZPrime",
        "Z' whose spreads are those of the wells on the side of the other control, from the group's mean",
        "after the one-tailed Z' of CellProfiler, CalculateStatistics",
    ),
    *_SSMD,
    text_column(
        "SSMD_Class",
        "excellent, good, inferior or poor, by the end of the interval of SSMD that is nearer to 0, for a positive "
        "control of strength control_strength: strong "
        "from 3, 2, 1; moderate from 2, 1, 0.5; very strong from 5, 3, 2; extremely strong from 7, 5, 3",
        _SSMD_QC,
    ),
    number_column(
        "VFactor",
        "1 - 6 x mean SD of the replicates at every dose and of both controls / |difference of the controls' means|; "
        "NaN without replicated doses",
        "Ravkin, SPIE 5325, 200 (2004)",
    ),
    number_column(
        "SignalToBackground", "mean of positives / mean of negatives; NaN unless both are above 0", "Zhang 1999"
    ),
    number_column(
        "SignalWindow",
        "(|difference of the means| - 3 (SD + SD)) / SD of the control of the higher mean",
        "Sittampalam et al., J. Biomol. Screen. 2, 159 (1997)",
    ),
    number_column("CV_Positive", "SD / mean of the positives; NaN unless the mean is above 0"),
    number_column("CV_Negative", "SD / mean of the negatives; NaN unless the mean is above 0"),
    count_column(
        "Rank",
        "",
        "rank by Z' among all rows of the group, from 1; without a Z' last. The best of many readouts looks better on "
        "the wells that chose it than on the next plate",
    ),
    text_column("Reason", "why statistics are NaN; empty where none of those with an interval is"),
)
ATTRIBUTION_COLUMNS: tuple[Column, ...] = (
    _PLATE,
    _READOUT,
    _GROUP,
    text_column(
        "Cause", "what may lower Z': edge, row, column, gradient, well, cell count, focus, saturation or confidence"
    ),
    text_column("Detail", "which well or channel, and how the readout depends on it"),
    number_column("ZPrime", "Z' of the controls that have a value of the cause", ZHANG),
    number_column(
        "ZPrime_Without",
        "Z' without the cause: with its straight-line effect on the controls, fitted within each role, taken out and "
        "the standard deviations raised for the parameters fitted; for a well, with that well left out",
        "hcs",
    ),
    number_column("Delta", "ZPrime_Without - ZPrime"),
    number_column(
        "PValue",
        "F test of the cause's effect within the roles; for a well, share of plates of as many Gaussian wells without "
        "an outlier on which leaving out the best well gains as much. One of several tests: expect one in twenty below "
        "0.05",
        "hcs",
    ),
    count_column("Count_WellsRemoved", "wells", "wells left out"),
    count_column("Count_Positive", "wells", "positive wells left"),
    count_column("Count_Negative", "wells", "negative wells left"),
    text_column("Reason", "why ZPrime_Without is NaN"),
)
_HELD = (
    "without an interval, as scores whose rules share wells are not independent: on simulated plates of 12 wells one "
    "would hold the truth in 77 %"
)
DISCRIMINANT_COLUMNS: tuple[Column, ...] = (
    _PLATE,
    _GROUP,
    *_WELLS,
    number_column("ZPrime", f"Z' of the held-out scores; {_HELD}", ZHANG),
    number_column("RobustZPrime", f"Z' of the held-out scores {MAD}", CROUX),
    number_column("SSMD", "SSMD of the held-out scores", SSMD),
    count_column("Count_Readouts", "", "readouts that the discriminant is made of"),
    number_column("Shrinkage", "shrinkage of the covariance, median over folds", "Ledoit & Wolf 2004"),
    text_column("Leading", "readouts of the largest weights (per standard deviation), parted by ;"),
    text_column("Readouts", "all readouts used, parted by ;"),
    text_column("Reason", "why statistics are NaN"),
)
