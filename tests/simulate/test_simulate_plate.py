"""Layout of simulated plates, doses, settings."""

from __future__ import annotations

import numpy as np
import pytest

from hcs.errors import ConfigError, PlateError
from hcs.plate.keys import FieldKey, WellId
from hcs.simulate.compounds import CDK2_INHIBITOR, COMPOUNDS, G2M_ARRESTER, UNTREATED, Compound, condition
from hcs.simulate.plate import lay_out_plate, plate_wells
from hcs.simulate.settings import SimulationSettings


@pytest.mark.parametrize(
    ("number", "last"),
    [(1, "A01"), (6, "B03"), (7, "B03"), (24, "D06"), (96, "H12"), (384, "P24"), (1536, "AF48")],
)
def test_wells_fill_the_smallest_plate_row_by_row(number: int, last: str) -> None:
    wells = plate_wells(number)
    assert len(set(wells)) == number
    assert list(wells) == sorted(wells)
    assert str(wells[-1]) == last


@pytest.mark.parametrize("number", [1, 2, 5, 6, 7, 8, 13, 24, 96, 384, 1536])
def test_every_well_has_one_role_and_controls_are_there(number: int) -> None:
    plate = lay_out_plate(SimulationSettings(wells=number, fields=2))
    frame = plate.plate_map
    roles = frame["role"].value_counts()
    assert list(frame["well"]) == [str(well) for well in plate.wells]
    assert len(plate.keys) == 2 * number
    assert roles.get("negative", 0) >= 1
    assert roles.get("positive", 0) >= (number > 1)
    assert roles.get("empty", 0) == (0 if number < 6 else 1 if number < 24 else 2)
    assert len(plate.crowded) == (number >= 8)


def test_layout_of_96_wells() -> None:
    plate = lay_out_plate(SimulationSettings())
    frame = plate.plate_map.set_index("well")
    assert frame["role"].value_counts().to_dict() == {"sample": 78, "negative": 8, "positive": 8, "empty": 2}
    assert list(frame.loc[["A01", "B01", "A12", "H12"], "role"]) == [
        "negative",
        "positive",
        "positive",
        "negative",
    ]
    assert set(frame.loc[frame["role"] == "positive", "compound"]) == {"cdk2-inhibitor"}
    empty = frame[frame["role"] == "empty"]
    assert set(empty["compound"]) == {""}
    assert empty["dose"].isna().all()
    samples = frame[frame["role"] == "sample"]
    assert samples.groupby(["compound", "dose"]).size().min() >= 2
    assert samples["dose"].nunique() == 8
    assert samples["dose"].max() == 10.0


def test_layout_depends_on_the_seed_and_nothing_else() -> None:
    one, same, other = (lay_out_plate(SimulationSettings(seed=seed)).plate_map for seed in (1, 1, 2))
    assert one.equals(same)
    assert not one.equals(other)


def test_an_unknown_well_is_refused() -> None:
    plate = lay_out_plate(SimulationSettings(wells=6))
    with pytest.raises(PlateError, match=r"well H12 is not .* 6 wells, A01 to B03"):
        plate.treatment(WellId.parse("H12"))
    assert FieldKey(WellId.parse("B03"), 0) in plate.keys


def test_hill_equation_by_hand() -> None:
    compound = Compound(name="x", ec50_um=2.0, hill=2.0)
    assert compound.effect(0.0) == 0.0
    assert compound.effect(2.0) == 0.5
    assert compound.effect(6.0) == pytest.approx(0.9)


@pytest.mark.parametrize("compound", COMPOUNDS, ids=lambda compound: compound.name)
def test_phase_fractions_add_up_at_every_dose(compound: Compound) -> None:
    for dose in (0.0, 0.01, 1.0, 100.0):
        state = condition(compound, dose, seeding=1.0)
        assert sum(state.phases) == pytest.approx(1.0)
        assert min(state.phases) > 0
    assert condition(compound, 0.0, seeding=1.0).phases == pytest.approx(UNTREATED)


def test_effects_grow_with_dose() -> None:
    doses = np.geomspace(0.001, 100, 12)
    inhibited = [condition(CDK2_INHIBITOR, dose, seeding=1.0) for dose in doses]
    arrested = [condition(G2M_ARRESTER, dose, seeding=1.0) for dose in doses]
    assert np.all(np.diff([state.inhibition for state in inhibited]) > 0)
    assert np.all(np.diff([state.phases[1] for state in inhibited]) > 0)
    assert np.all(np.diff([state.phases[3] for state in arrested]) > 0)
    assert np.all(np.diff([state.density for state in arrested]) < 0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"wells": 0}, "simulate.wells is 0"),
        ({"wells": 1537}, "between 1 and 1536"),
        ({"size_px": 32}, "simulate.size_px is 32"),
        ({"density": 5000.0}, "between 0 and 553"),
        ({"nucleus_diameter_px": 0.0}, "simulate.nucleus_diameter_px"),
        ({"bit_depth": 8}, "be 12 or 16"),
        ({"dna_counts": 5000.0, "bit_depth": 12}, "simulate.dna_counts"),
        ({"shading": float("nan")}, "simulate.shading"),
        ({"seed": -1}, "simulate.seed"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SimulationSettings(**wrong)  # type: ignore[arg-type]
