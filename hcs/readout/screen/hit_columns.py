"""Column dictionary of the tables on doses and hits: doses, scores, hits, replicates."""

from __future__ import annotations

from hcs.columns import Column
from hcs.readout.columns import MAP, SSMD, count_column, number_column, text_column

_PLATE = text_column("Metadata_Plate", "name of the plate")
_READOUT = text_column("Readout", "column of the well table that the row is about")
_PROFILE = (
    "profile likelihood, F limit, coverage `confidence` for independent wells; Bates & Watts, Nonlinear "
    "Regression (1988)"
)
_ENDS = f"{_PROFILE}; infinite where it is open, a slope's lower end 0"
_UNIT = "as the readout"


def _estimate(name: str, definition: str, unit: str = "") -> tuple[Column, ...]:
    return (
        number_column(name, definition, "4-parameter logistic", unit),
        number_column(f"{name}_Low", f"lower end of the interval of {name}", _ENDS, unit),
        number_column(f"{name}_High", f"upper end of the interval of {name}", _ENDS, unit),
    )


DOSE_COLUMNS: tuple[Column, ...] = (
    _PLATE,
    _READOUT,
    text_column("Compound", "compound", MAP),
    text_column("Group", "group of the wells; empty where the map names none", MAP),
    number_column(
        "EC50",
        "dose of half the effect; an IC50 where Direction is falling. NaN where its interval is open or reaches beyond "
        "the highest dose: see Reason",
        "4-parameter logistic",
        "see Unit",
    ),
    number_column("EC50_Low", "lower end of the interval of EC50; 0 where it is open", _PROFILE, "see Unit"),
    number_column("EC50_High", "upper end of the interval of EC50; infinite where it is open", _PROFILE, "see Unit"),
    text_column("Unit", "unit of the doses", MAP),
    text_column("Direction", "rising or falling with the dose"),
    *_estimate("Hill", "slope; negative where falling"),
    *_estimate("Bottom", "lower end of the curve", _UNIT),
    *_estimate("Top", "upper end of the curve", _UNIT),
    number_column("Efficacy", "response at infinite dose less that at dose 0", "4-parameter logistic", _UNIT),
    number_column(
        "Efficacy_Percent",
        "Efficacy over (mean of positive - mean of negative wells) of the group; NaN without either",
        unit="%",
    ),
    number_column("R2", "share of the wells' weighted variance that the best curve explains"),
    number_column("PValue", "F test (3 and n - 4 degrees of freedom) of the best curve against a constant"),
    number_column(
        "PValue_LackOfFit",
        "F test of the doses' means about the best curve against the wells about these means; below 0.01 all intervals "
        "are made of the doses' means, as wells of a dose are no independent witnesses then; NaN without replicates",
        "Bates & Watts 1988",
    ),
    count_column("Count_Wells", "wells", "wells of the compound that have a value"),
    count_column("Count_NegativeWells", "wells", "negative wells taken as dose 0"),
    count_column("Count_Doses", "", "different doses above 0 that have a value"),
    number_column("MinDose", "lowest dose above 0", MAP, "see Unit"),
    number_column("MaxDose", "highest dose", MAP, "see Unit"),
    text_column("Reason", "why there is no EC50; empty where there is one"),
    text_column("Note", "whether doses scatter more than replicates explain"),
)
_CORRECTION = "after the plate effect named in Correction is taken out; as before where that is none"
_RZ = "(value - median of negatives) / (1.4826 x MAD of negatives x its small-sample factor)"
_REFERENCE = text_column(
    "Reference",
    "wells without an effect that scores after correction and p-values are measured against: samples (most do nothing) "
    "or negatives; see hits.reference",
)
_EFRON = "empirical null, Efron, J. Am. Stat. Assoc. 99, 96 (2004)"
_CHANCE = (
    "against samples: predictive distribution of Student's t whose centre, scale and tails the samples tell; against "
    "negatives: two-sided t test, pooled variance, or what the samples' own noise says where that is more"
)
_BH = "Benjamini & Hochberg, J. R. Stat. Soc. B 57, 289 (1995)"
SCORE_COLUMNS: tuple[Column, ...] = (
    _PLATE,
    text_column("Metadata_Well", "well"),
    text_column("Metadata_Role", "negative, positive, sample, empty", MAP),
    text_column("Metadata_Compound", "compound", MAP),
    number_column("Metadata_Dose", "dose of the compound", MAP, "see Metadata_Unit"),
    text_column("Metadata_Unit", "unit of the dose", MAP),
    _READOUT,
    text_column("Group", "group whose controls the well is compared with; empty for all controls of the plate", MAP),
    count_column("Count_NegativeWells", "wells", "negative wells compared with"),
    number_column("Value", "the well's value", unit=_UNIT),
    number_column("PercentOfControl", "100 x value / mean of negatives; NaN unless that is above 0", unit="%"),
    number_column(
        "PercentEffect",
        "100 x (value - mean of negatives) / (mean of positives - mean of negatives): 0 as negative, 100 as positive "
        "wells",
        "normalised percent activation, Malo et al., Nat. Biotechnol. 24, 167 (2006)",
        "%",
    ),
    number_column("RobustZ", _RZ, "Malo et al. 2006"),
    text_column("Correction", "plate effect taken out: none, bscore, edge or both"),
    number_column("Corrected", f"value {_CORRECTION}", unit=_UNIT),
    _REFERENCE,
    number_column(
        "RobustZ_Corrected", f"(value - median) / (1.4826 x MAD) of the reference, {_CORRECTION}", "Malo et al. 2006"
    ),
    number_column(
        "BScore",
        "residual of rows and columns (median polish; with both, lines and Huber's regression) "
        "/ (1.4826 x MAD of the samples' residuals); NaN unless "
        "Correction is bscore or both",
        "Brideau et al., J. Biomol. Screen. 8, 634 (2003)",
    ),
    number_column("PValue", f"how likely a well without an effect lies as far out; {_CHANCE}", _EFRON),
    number_column("QValue", "PValue adjusted over all sample wells of the readout", _BH),
    Column(
        "Hit", "bool", "", "|RobustZ_Corrected| at least hits.robust_z and QValue at most hits.fdr; samples only", "hcs"
    ),
    text_column("Reason", "why scores are NaN"),
    text_column("Correction_Reason", "why no plate effect was taken out though one was asked or looked for"),
)
HIT_COLUMNS: tuple[Column, ...] = (
    _PLATE,
    _READOUT,
    text_column("Compound", "compound", MAP),
    number_column("Dose", "dose of the compound", MAP, "see Unit"),
    text_column("Unit", "unit of the dose", MAP),
    text_column("Role", "sample or positive", MAP),
    text_column("Group", "group of the wells; empty where the map names none", MAP),
    count_column("Count_Wells", "wells", "wells of the condition that have a value"),
    count_column("Count_NegativeWells", "wells", "negative wells compared with"),
    text_column("Correction", "plate effect taken out: none, bscore, edge or both"),
    _REFERENCE,
    number_column("RobustZ", "median over the wells of RobustZ_Corrected"),
    number_column(
        "SSMD", "(mean - centre of the reference) / sqrt(sum of variances), corrected values; 2 or more wells", SSMD
    ),
    number_column("PercentEffect", "mean over the wells, before correction", unit="%"),
    number_column(
        "PValue",
        f"how likely wells without an effect lie as far out as the condition's on average; {_CHANCE}",
        _EFRON,
    ),
    number_column("QValue", "PValue adjusted over all sample conditions of the readout", _BH),
    Column("Hit", "bool", "", "effect (hits.by) at least its limit and QValue at most hits.fdr; samples only", "hcs"),
    text_column("Reason", "why there is no decision"),
)
REPLICATE_COLUMNS: tuple[Column, ...] = (
    _READOUT,
    text_column("Plate_A", "name of one plate"),
    text_column("Plate_B", "name of the other plate"),
    count_column("Count_Conditions", "", "compounds x doses that have a value on both plates"),
    number_column("Pearson", "correlation of the conditions' means over wells"),
    number_column("Pearson_Low", "lower end of its interval", "Fisher's z"),
    number_column("Pearson_High", "upper end of its interval", "Fisher's z"),
    number_column("Spearman", "correlation of their ranks"),
    text_column("Reason", "why correlations are NaN"),
)
