"""Column dictionary of the table on toxicity.

Alone, as the column dictionaries of all tables are files of their own.
"""

from __future__ import annotations

from hcs.columns import Column
from hcs.readout.columns import MAP, count_column, number_column, text_column

_LIVING = "Count_LivingPerField of wells"

TOXICITY_COLUMNS: tuple[Column, ...] = (
    text_column("Metadata_Plate", "name of the plate"),
    text_column("Compound", "compound", MAP),
    number_column("Dose", "dose of the compound", MAP, "see Unit"),
    text_column("Unit", "unit of the dose", MAP),
    text_column("Role", "sample or positive", MAP),
    text_column("Group", "group of the wells; empty where the map names none", MAP),
    Column(
        "Toxic",
        "bool",
        "",
        "living nuclei fewer than the reference's by at least toxicity.min_loss, and PValue_Adjusted at most "
        "toxicity.alpha",
        "hcs",
    ),
    number_column(
        "LowestToxicDose", "lowest dose at which the compound is toxic; NaN where it is at none", "", "see Unit"
    ),
    count_column("Count_Wells", "wells", "wells of the condition that have a count"),
    count_column("Count_NegativeWells", "wells", "negative wells that have a count"),
    number_column("Living", f"mean over the condition of {_LIVING}", unit="nuclei a field"),
    number_column("NegativeLiving", f"mean over the negatives of {_LIVING}", unit="nuclei a field"),
    number_column(
        "LivingRatio",
        "living nuclei relative to the reference: (mean square root over the condition / that of the reference) "
        "squared, after effects of the position are taken out",
    ),
    number_column("LivingRatio_Low", "lower end of the interval of LivingRatio", "Student's t, coverage `confidence`"),
    number_column("LivingRatio_High", "upper end of the interval of LivingRatio", "Student's t, coverage `confidence`"),
    text_column(
        "Reference",
        "what the condition is compared with: negatives; or undisturbed samples, where the upper third of the samples' "
        "conditions puts a plate without effect lower than the negatives are",
    ),
    number_column(
        "ReferenceLiving",
        "living nuclei of the reference: mean square root, squared, after effects of the position are taken out",
        unit="nuclei a field",
    ),
    number_column("FractionDead", "mean over the condition's wells of Fraction_Dead"),
    number_column("NegativeFractionDead", "mean over the negative wells of Fraction_Dead"),
    number_column(
        "PValue",
        "one-sided: such a loss by chance. Spread within negatives and replicates, at least Poisson's, and between "
        "undisturbed conditions",
        "Student's t; Satterthwaite",
    ),
    number_column(
        "PValue_Adjusted",
        "PValue adjusted over all conditions of the plate: on a plate without toxicity anything is at most 0.05 with "
        "a probability of at most 5 %",
        "Holm, Scand. J. Stat. 6, 65 (1979)",
    ),
    text_column("Reason", "why it cannot be told; empty where it can"),
    text_column("Note", "higher doses of a toxic compound that are not toxic"),
    text_column("Correction_Reason", "why no effect of the position was taken out; empty where one was"),
)
WARNING_COLUMN = text_column(
    "Warning", "that the compound is toxic at this dose, so that other readouts are of dying or few cells; see toxicity"
)
