"""Cells of a well before they have a place."""

from __future__ import annotations

import numpy as np
import pytest

from hcs.simulate.compounds import (
    CDK2_INHIBITOR,
    CYTOTOXIC,
    G2M_ARRESTER,
    INACTIVE,
    PHASES,
    UNTREATED,
    Compound,
    condition,
)
from hcs.simulate.population import Population, WellEffects, draw_population
from hcs.simulate.settings import SimulationSettings

NONE = WellEffects(seeding=1.0, staining=1.0, ratio=1.0)
DOSES_UM = (0.0, 0.02, 0.1, 0.5, 2.5, 12.5)


def draw(compound: Compound, dose_um: float, *, number: int = 20_000) -> Population:
    return draw_population(
        np.random.default_rng(5),
        number,
        condition=condition(compound, dose_um, seeding=1.0),
        effects=NONE,
        settings=SimulationSettings(),
    )


def share(population: Population, phase: str) -> float:
    return float(np.mean(population.phase == PHASES.index(phase)))


def test_untreated_population_has_the_stated_phases() -> None:
    population = draw(INACTIVE, 10.0)
    assert [share(population, phase) for phase in PHASES] == pytest.approx(UNTREATED, abs=0.01)
    in_g1 = population.phase == PHASES.index("G1")
    stain = population.dna_total[in_g1]
    assert set(population.dna_n[in_g1]) == {2.0}
    assert stain.mean() == pytest.approx(1200 * np.pi * 12**2, rel=0.005)
    assert stain.std() / stain.mean() == pytest.approx(0.05, rel=0.05)
    assert population.area_px[in_g1].mean() == pytest.approx(np.pi * 12**2, rel=0.01)


def test_area_grows_with_dna_content() -> None:
    population = draw(INACTIVE, 0.0)
    replicating = population.phase == PHASES.index("S")
    slope = np.polyfit(np.log(population.dna_n[replicating]), np.log(population.area_px[replicating]), 1)[0]
    assert slope == pytest.approx(0.75, abs=0.03)


def test_sensor_levels_add_up_to_the_ratio_and_the_expression() -> None:
    population = draw(INACTIVE, 0.0, number=100)
    assert population.cytoplasm_counts / population.nucleus_counts == pytest.approx(population.ratio)
    assert (population.cytoplasm_counts + population.nucleus_counts) / 2 == pytest.approx(population.expression)


def test_inhibitor_lowers_ratio_and_arrests_in_g1_with_dose() -> None:
    populations = [draw(CDK2_INHIBITOR, dose) for dose in DOSES_UM]
    assert np.all(np.diff([one.ratio.mean() for one in populations]) < 0)
    assert np.all(np.diff([share(one, "G1") for one in populations]) > 0)


def test_arrester_gathers_cells_at_4n_with_dose() -> None:
    populations = [draw(G2M_ARRESTER, dose) for dose in DOSES_UM]
    assert np.all(np.diff([share(one, "G2M") for one in populations]) > 0)
    assert np.all(np.diff([one.ratio.mean() for one in populations]) > 0)


def test_cytotoxic_compound_kills_with_dose() -> None:
    dead = [draw(CYTOTOXIC, dose).dead.mean() for dose in DOSES_UM]
    assert np.all(np.diff(dead) >= 0)
    assert dead[0] == pytest.approx(0.02, abs=0.005)
    assert dead[-1] == pytest.approx(0.40, abs=0.02)


def test_dead_cells_are_small_bright_and_sub_g1() -> None:
    population = draw(CYTOTOXIC, 10.0)
    dead, living = population.dead, population.phase == PHASES.index("G1")
    assert population.dna_n[dead].max() < 1.5
    assert population.area_px[dead].mean() < 0.4 * population.area_px[living].mean()
    density = population.dna_total / population.area_px
    assert density[dead].mean() > 1.4 * density[living].mean()
    assert not (dead & population.mitotic).any()


def test_no_cells() -> None:
    population = draw(INACTIVE, 0.0, number=0)
    assert len(population) == 0
    assert population.cytoplasm_counts.shape == (0,)
