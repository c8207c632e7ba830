"""Dead cells: told by brightness and size, left out of statistics, counted; mitotic nuclei are not among them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from helpers.screen_plates import well_names

from hcs.columns import DEAD
from hcs.errors import ConfigError
from hcs.readout.readouts import Readouts, make_readouts
from hcs.readout.settings import DeadSettings, ReadoutSettings, ToxicitySettings
from hcs.readout.wells.dead import DEAD_COLUMNS, LIVING, flag_dead, learn_living
from hcs.readout.wells.nuclei import AREA, DNA_CONTENT, TOUCHES_BORDER
from hcs.simulate.compounds import CYTOTOXIC, G2M_ARRESTER, INACTIVE, Compound, condition
from hcs.simulate.population import Population, WellEffects, brighten, draw_population
from hcs.simulate.settings import SimulationSettings

SATURATED = "Nuclei_Flag_SaturatedPixels_DNA"
SIMULATION = SimulationSettings(dead_brightness=(5.0, 50.0))
SETTINGS = ReadoutSettings(readouts=("Mean_Nuclei_Sensor_Ratio",), draws=100)


def population(compound: Compound, dose_um: float, *, number: int = 400, seed: int = 1) -> Population:
    state = condition(compound, dose_um, seeding=1.0)
    rng = np.random.default_rng(seed)
    effects = WellEffects(seeding=1.0, staining=1.0, ratio=1.0)
    drawn = draw_population(rng, number, condition=state, effects=effects, settings=SIMULATION)
    return brighten(rng, drawn, condition=state, settings=SIMULATION)


def table(well: str, cells: Population) -> pd.DataFrame:
    """The nucleus table of a well, measured without error."""
    n = len(cells)
    return pd.DataFrame(
        {
            "Metadata_Plate": "P1",
            "Metadata_Well": well,
            "Metadata_Site": 0,
            "Metadata_ObjectNumber": np.arange(1, n + 1),
            DNA_CONTENT: cells.dna_total,
            AREA: np.round(cells.area_px).astype(np.int32),
            "Nuclei_AreaShape_Solidity": 0.97,
            "Nuclei_Sensor_Ratio": cells.ratio,
            TOUCHES_BORDER: np.arange(n) % 10 == 0,
            SATURATED: 0,
        }
    )


def plate(cells: dict[str, Population], roles: dict[str, str]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Nuclei, fields and plate map."""
    nuclei = pd.concat([table(well, each) for well, each in cells.items()], ignore_index=True)
    wells = list(cells)
    fields = pd.DataFrame({"well": wells, "field": 0, "status": "ok", "reason": "", "n_nuclei": 0})
    layout = pd.DataFrame(
        {"well": wells, "role": [roles[w] for w in wells], "compound": "c", "dose": 1.0, "unit": "uM"}
    )
    return nuclei, fields, layout


def test_a_field_that_was_recorded_in_part_has_as_many_living_nuclei_for_its_area() -> None:
    whole, half = population(INACTIVE, 1.0), population(INACTIVE, 1.0, number=200, seed=2)
    nuclei, fields, layout = plate({"A01": whole, "A02": half}, {"A01": "negative", "A02": "sample"})
    partly = make_readouts(nuclei, fields.assign(recorded=[1.0, 0.5]), layout, SETTINGS).wells.set_index(
        "Metadata_Well"
    )
    unknown = make_readouts(nuclei, fields.assign(recorded=np.nan), layout, SETTINGS).wells.set_index("Metadata_Well")
    living = (1.0 - partly["Fraction_Dead"]) * partly["Count_Nuclei"]
    assert partly.loc["A01", LIVING] == living["A01"]
    assert partly.loc["A02", LIVING] == pytest.approx(2 * living["A02"])
    assert unknown.loc["A02", LIVING] == living["A02"]


def dying_plate() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, np.ndarray, np.ndarray]:
    names = well_names(2, 4)
    cells = {well: population(INACTIVE, 0.0, seed=i) for i, well in enumerate(names[:4])}
    cells |= {well: population(CYTOTOXIC, 10.0, seed=10 + i) for i, well in enumerate(names[4:])}
    made = plate(cells, {well: "negative" if well in names[:4] else "sample" for well in names})
    bright = np.concatenate([each.bright for each in cells.values()])
    mitotic = np.concatenate([each.mitotic for each in cells.values()])
    return *made, bright, mitotic


def test_bright_dead_cells_are_called_and_hardly_any_other() -> None:
    nuclei, _, layout, bright, mitotic = dying_plate()
    flagged = flag_dead(nuclei, learn_living(nuclei, layout, SETTINGS), dna="DNA")[DEAD].to_numpy()
    assert bright.sum() > 400
    assert flagged[bright].mean() > 0.99
    assert flagged[~bright].mean() < 0.002
    assert not flagged[mitotic].any()


def test_an_arrest_in_mitosis_is_not_death() -> None:
    arrested = population(G2M_ARRESTER, 10.0, number=4000)
    cells = {"A01": population(INACTIVE, 0.0), "A02": arrested}
    nuclei, _, layout = plate(cells, {"A01": "negative", "A02": "sample"})
    flagged = flag_dead(nuclei, learn_living(nuclei, layout, SETTINGS), dna="DNA")[DEAD]
    assert arrested.mitotic.sum() > 200
    assert flagged.mean() < 0.005


def test_the_rule_by_hand() -> None:
    cells = {"A01": population(INACTIVE, 0.0)}
    nuclei, _, layout = plate(cells, {"A01": "negative"})
    living = learn_living(nuclei, layout, SETTINGS)
    assert living.n == 360  # the border's are not measured
    assert living.bright == pytest.approx(4 * living.intensity)
    usual, small = living.area_px, 0.4 * living.area_px
    area = np.array([usual, usual, small, small, usual, usual, np.nan])
    intensity = np.array([4.1, 3.9, 2.6, 2.4, 2.6, 2.4, 9.0]) * living.intensity
    clipped = np.array([0, 0, 0, 0, 0.6 * usual, 0.6 * usual, 0])
    assert living.dead(intensity * area, area, clipped).tolist() == [True, False, True, False, True, False, False]


def read(nuclei: pd.DataFrame, fields: pd.DataFrame, layout: pd.DataFrame, **dead: object) -> Readouts:
    settings = ReadoutSettings(
        readouts=("Mean_Nuclei_Sensor_Ratio",),
        draws=100,
        dead=DeadSettings(**dead),  # type: ignore[arg-type]
    )
    return make_readouts(nuclei, fields, layout, settings, dna="DNA")


def test_dead_cells_are_counted_and_do_not_move_the_readouts_of_the_living() -> None:
    nuclei, fields, layout, bright, _ = dying_plate()
    readouts = read(nuclei, fields, layout)
    living = read(nuclei[~bright].reset_index(drop=True), fields, layout)
    counts = readouts.wells.set_index("Metadata_Well")
    truth = pd.Series(bright).groupby(nuclei["Metadata_Well"]).agg(["sum", "mean"])
    assert np.abs(counts["Count_Dead"] - truth["sum"]).max() <= 3
    assert np.abs(counts["Fraction_Dead"] - truth["mean"]).max() < 0.01
    assert (counts[LIVING] == 400 - counts["Count_Dead"]).all()
    assert readouts.peak.two_n == pytest.approx(living.peak.two_n, rel=1e-3)
    for name in ("Fraction_G1", "Fraction_G2M", "Fraction_S", "Fraction_Above4N", "Mean_Nuclei_Sensor_Ratio"):
        difference = (counts[name] - living.wells.set_index("Metadata_Well")[name]).abs().max()
        assert difference < 0.01, name
    assert readouts.dead.columns.tolist() == [column.name for column in DEAD_COLUMNS]
    assert any("called dead" in note and "left out" in note for note in readouts.notes)


def test_dead_cells_may_be_kept_and_the_notes_say_so() -> None:
    nuclei, fields, layout, bright, _ = dying_plate()
    out, kept = read(nuclei, fields, layout), read(nuclei, fields, layout, exclude=False)
    inside = nuclei.assign(bright=bright)[~nuclei[TOUCHES_BORDER]]
    means = inside.groupby("Metadata_Well")[DNA_CONTENT].mean().to_numpy()
    assert kept.wells[f"Mean_{DNA_CONTENT}"].to_numpy() == pytest.approx(means)
    assert (out.wells[f"Mean_{DNA_CONTENT}"] < kept.wells[f"Mean_{DNA_CONTENT}"])[4:].all()
    assert (kept.wells["Count_Dead"] == out.wells["Count_Dead"]).all()
    assert any("part of all readouts" in note for note in kept.notes)


def test_where_living_nuclei_are_not_known_nothing_is_called_dead() -> None:
    nuclei, fields, layout, *_ = dying_plate()
    few = nuclei.groupby("Metadata_Well").head(8).reset_index(drop=True)
    readouts = read(few, fields, layout)
    assert readouts.wells["Count_Dead"].isna().all()
    assert (readouts.wells[LIVING] == 8).all()
    assert "at least 50 needed" in readouts.dead["Reason"].iloc[0]
    assert any("Dead cells cannot be told" in note for note in readouts.notes)
    without = read(nuclei.drop(columns=AREA), fields, layout)
    assert without.wells["Fraction_Dead"].isna().all()


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: DeadSettings(condensed=0.9), "dead.condensed"),
        (lambda: DeadSettings(bright=2.0), "dead.bright"),
        (lambda: DeadSettings(small=0.0), "dead.small"),
        (lambda: DeadSettings(min_nuclei=1), "dead.min_nuclei"),
        (lambda: ToxicitySettings(alpha=0.0), "toxicity.alpha"),
        (lambda: ToxicitySettings(min_loss=1.0), "toxicity.min_loss"),
    ],
)
def test_impossible_settings_are_refused(make: object, key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        make()  # type: ignore[operator]
