"""Toxicity: the true dose of simulated compounds, false calls on plates without any, what is compared and said."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from helpers.screen_plates import well_names

from hcs.readout.screen.tables import screen_tables
from hcs.readout.screen.toxicity import find_toxicity, holm, toxic_compounds, toxicity_notes, with_warning
from hcs.readout.screen.toxicity_columns import TOXICITY_COLUMNS
from hcs.readout.settings import ReadoutSettings, ToxicitySettings
from hcs.readout.wells.dead import LIVING
from hcs.simulate.compounds import CYTOTOXIC, UNTREATED, condition
from hcs.simulate.plate import doses_um, lay_out_plate
from hcs.simulate.settings import SimulationSettings

Floats = npt.NDArray[np.float64]
SETTINGS = ReadoutSettings()


def layout(seed: int) -> pd.DataFrame:
    """The demo's plate: controls in the outer columns, four compounds at eight doses at random."""
    planned = lay_out_plate(SimulationSettings(wells=96, seed=seed)).plate_map
    return planned.rename(columns={name: f"Metadata_{name.capitalize()}" for name in planned})


def library(rng: np.random.Generator) -> pd.DataFrame:
    """96 wells, 72 samples once each, controls in the outer columns, empty wells in none."""
    wells = well_names(8, 12)
    columns = np.array([int(well[1:]) for well in wells])
    roles = np.select([columns == 1, columns == 12], ["negative", "positive"], "sample")
    names = np.where(roles == "sample", [f"c{i:02d}" for i in rng.permutation(96)], roles)
    return pd.DataFrame(
        {
            "Metadata_Well": wells,
            "Metadata_Role": roles,
            "Metadata_Compound": names,
            "Metadata_Dose": np.where(roles == "negative", np.nan, 10.0),
            "Metadata_Unit": "uM",
        }
    )


def counted(map_: pd.DataFrame, living: npt.ArrayLike, *, dead: npt.ArrayLike = 0.0) -> pd.DataFrame:
    """A well table of one field a well with these numbers of living nuclei."""
    living = np.asarray(living, dtype=np.float64)
    return map_.assign(
        Metadata_Plate="P1", Fields_Ok=1, Fraction_Dead=dead, **{LIVING: living}, Count_Nuclei_Measured=living
    )


def grown(map_: pd.DataFrame, rng: np.random.Generator, *, usual: float = 100, effect: npt.ArrayLike = 0.0) -> Floats:
    """Counted nuclei: wells differ by 8 %, by the effect (logarithm), and as counted things do."""
    expected = usual * np.exp(rng.normal(0, 0.08, len(map_)) + np.asarray(effect))
    return rng.poisson(np.where(map_["Metadata_Role"] == "empty", 0, expected)).astype(np.float64)


def place(map_: pd.DataFrame, kind: str, rng: np.random.Generator) -> Floats:
    """Effect of the position on the logarithm of a count: 3 SD across the plate, 2.5 SD at the edge, 1 SD a line."""
    row = np.array([ord(well[0]) - ord("A") for well in map_["Metadata_Well"]])
    column = np.array([int(well[1:]) - 1 for well in map_["Metadata_Well"]])
    edge = (row == 0) | (row == 7) | (column == 0) | (column == 11)
    effects: dict[str, Floats] = {
        "none": np.zeros(len(map_)),
        "gradient": 0.36 * (column / 11 - 0.5),
        "rows": rng.normal(0, 0.12, 8)[row],
        "columns": rng.normal(0, 0.12, 12)[column],
        "edge": -0.3 * edge.astype(np.float64),
        "lush edge": 0.3 * edge.astype(np.float64),
    }
    return effects[kind]


def dying(map_: pd.DataFrame) -> Floats:
    """Logarithm of the share of living nuclei that the demo's cytotoxic compound leaves."""
    left = np.zeros(len(map_))
    chosen = map_["Metadata_Compound"] == "cytotoxic"
    for i in np.flatnonzero(chosen):
        state = condition(CYTOTOXIC, float(map_["Metadata_Dose"].iloc[i]), seeding=1.0)
        left[i] = np.log(state.density * (1 - state.phases[0]) / (1 - UNTREATED[0]))
    return left


def test_the_cytotoxic_compound_is_toxic_from_its_true_dose() -> None:
    found = []
    for seed in range(12):
        rng, map_ = np.random.default_rng(seed), layout(seed)
        table = find_toxicity(counted(map_, grown(map_, rng, effect=dying(map_))), SETTINGS)
        called = toxic_compounds(table)
        assert called["Compound"].tolist() == ["cytotoxic"]
        found.append(float(called["LowestToxicDose"].iloc[0]))
        top = table[(table["Compound"] == "cytotoxic") & (table["Dose"] == 10)].iloc[0]
        assert top["LivingRatio_Low"] < np.exp(dying(map_).min()) < top["LivingRatio_High"]
    # the true loss is 3 % at 0.12, 11 % at 0.37, 44 % at 1.1, 66 % at 3.3 and 70 % at 10 uM
    assert set(found) <= set(doses_um(8)[1:4])
    assert found.count(doses_um(8)[2]) >= 10


@pytest.mark.parametrize("kind", ["none", "gradient", "rows", "columns", "edge", "lush edge"])
def test_at_most_one_in_twenty_plates_without_toxicity_has_a_call(kind: str) -> None:
    false = 0
    for seed in range(24):
        rng = np.random.default_rng([seed, len(kind)])
        map_ = layout(seed) if seed % 2 else library(rng)
        table = find_toxicity(counted(map_, grown(map_, rng, effect=place(map_, kind, rng))), SETTINGS)
        false += bool(table["Toxic"].any())
    assert false <= 4  # 1.2 expected at most; more than 4 with a probability below 1 %


def test_half_of_the_plate_may_be_toxic() -> None:
    rng = np.random.default_rng(3)
    map_ = library(rng)
    killers = (map_["Metadata_Role"] == "sample") & (map_["Metadata_Compound"] < "c48")
    table = find_toxicity(counted(map_, grown(map_, rng, effect=np.where(killers, np.log(0.15), 0.0))), SETTINGS)
    called = table.set_index("Compound")["Toxic"]
    assert killers.sum() > 30
    true = called[map_["Metadata_Compound"][killers]]
    assert true.mean() > 0.9
    assert called.sum() == true.sum()


def test_a_loss_that_is_certain_but_small_is_not_toxic() -> None:
    map_ = library(np.random.default_rng(1))
    living = np.where(map_["Metadata_Compound"] == "c30", 8500.0, 10000.0) + np.arange(96) % 7
    wells = counted(map_, living)
    row = find_toxicity(wells, SETTINGS).set_index("Compound").loc["c30"]
    assert row["PValue_Adjusted"] < 0.001
    assert row["LivingRatio"] == pytest.approx(0.85, abs=0.01)
    assert not row["Toxic"]
    strict = ReadoutSettings(toxicity=ToxicitySettings(min_loss=0.1))
    assert find_toxicity(wells, strict).set_index("Compound")["Toxic"]["c30"]


def test_counts_are_by_finished_field_and_empty_wells_count() -> None:
    rng = np.random.default_rng(5)
    map_ = layout(5)
    living = grown(map_, rng)
    toxic = (map_["Metadata_Compound"] == "g2m-arrester") & (map_["Metadata_Dose"] == 10)
    living[toxic] = 0
    wells = counted(map_, living)
    table = find_toxicity(wells, SETTINGS)
    assert toxic_compounds(table)["Compound"].tolist() == ["g2m-arrester"]
    unfinished = wells.assign(Fields_Ok=np.where(toxic, 0, 1), **{LIVING: np.where(toxic, np.nan, living)})
    row = find_toxicity(unfinished, SETTINGS).set_index(["Compound", "Dose"]).loc[("g2m-arrester", 10.0)]
    assert not row["Toxic"]
    assert row["Reason"] == "no well has a count"
    assert np.isnan(row["PValue"])


def test_too_few_negatives_tell_nothing() -> None:
    map_ = layout(0)
    few = map_[(map_["Metadata_Role"] != "negative") | (map_["Metadata_Role"] == "negative").cumsum().le(2)]
    table = find_toxicity(counted(few, np.full(len(few), 100.0)), SETTINGS)
    assert not table["Toxic"].any()
    assert set(table["Reason"]) == {"2 negative wells with a count, at least 3 needed"}
    none = find_toxicity(counted(map_.head(0), []), SETTINGS)
    assert none.columns.tolist() == [column.name for column in TOXICITY_COLUMNS]


def test_holm_by_hand() -> None:
    assert holm([0.01, np.nan, 0.04, 0.03, 0.9])[[0, 2, 3, 4]].tolist() == pytest.approx([0.04, 0.09, 0.09, 0.9])
    assert np.isnan(holm([np.nan])).all()


def test_other_readouts_carry_the_warning() -> None:
    rng, map_ = np.random.default_rng(2), layout(2)
    dead = np.where(map_["Metadata_Compound"] == "cytotoxic", 0.3, 0.0)
    wells = counted(map_, grown(map_, rng, effect=dying(map_)), dead=dead)
    wells = wells.assign(Mean_Signal=rng.normal(size=len(wells)), Status="ok", Count_Nuclei=wells[LIVING])
    toxicity = find_toxicity(wells, SETTINGS)
    tables = screen_tables(wells, ReadoutSettings(readouts=("Mean_Signal",), draws=100), toxicity=toxicity)
    warned = tables.hits[tables.hits["Warning"] != ""]
    assert set(warned["Compound"]) == {"cytotoxic"}
    assert warned["Dose"].min() == pytest.approx(doses_um(8)[2])
    assert warned["Warning"].str.fullmatch(r"toxic: \d+% of the living nuclei of .*, 30% of the nuclei dead").all()
    curves = tables.doses.set_index("Compound")["Warning"]
    assert curves["cytotoxic"].startswith("toxic from 1.11 uM, there: ")
    assert (curves.drop("cytotoxic") == "").all()
    assert (with_warning(tables.hits, None)["Warning"] == "").all()
    assert "Toxic, with fewer living nuclei than chance explains: cytotoxic from 1.11 uM" in toxicity_notes(toxicity)[0]


def test_controls_where_cells_grow_better_make_nothing_toxic_and_a_note_says_so() -> None:
    rng = np.random.default_rng(8)
    map_ = library(rng)
    lush = np.where(map_["Metadata_Role"] == "negative", 0.35, 0.0)
    table = find_toxicity(counted(map_, grown(map_, rng, effect=lush)), SETTINGS)
    assert not table["Toxic"].any()
    assert set(table["Reference"]) == {"undisturbed samples"}
    assert any("not against the negatives" in note for note in toxicity_notes(table))
