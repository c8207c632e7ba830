"""Dean-Jett-Fox and Watson fits on DNA contents drawn with known phases, and their refusals."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from hcs.readout.cycle.columns import PHASES
from hcs.readout.cycle.deanjett import CycleFit, Prior, fit_cycle
from hcs.readout.cycle.fits import CycleFits, fit_plate, fit_well
from hcs.readout.cycle.phases import PhaseModel, bin_content, fit_weights
from hcs.readout.cycle.watson import fit_watson
from hcs.readout.settings import ReadoutSettings
from hcs.simulate.compounds import CDK2_INHIBITOR, CYTOTOXIC, G2M_ARRESTER, UNTREATED
from hcs.simulate.population import _dna_content

Floats = npt.NDArray[np.float64]
SETTINGS = ReadoutSettings()
CYCLES = {
    "untreated": UNTREATED,
    "G1 arrest": CDK2_INHIBITOR.phases,
    "G2M arrest": G2M_ARRESTER.phases,
    "dying": CYTOTOXIC.phases,
}
_LOW, _HIGH = np.array([0.1, 2.0, 2.0, 4.0, 5.0]), np.array([1.5, 2.0, 4.0, 4.0, 8.0])


def draw(
    seed: int, cycle: tuple[float, ...], *, n: int = 1000, cv: float = 0.05, even: bool = True
) -> tuple[Floats, Floats]:
    """DNA contents (n,) in N of a well whose stain is some 2 % off, and the shares (5,) really drawn.

    S is even between 2 and 4 N, or thins out at its ends as in the plate simulator.
    """
    rng = np.random.default_rng(seed)
    phase = rng.choice(5, n, p=cycle)
    content = _LOW[phase] + (_HIGH - _LOW)[phase] * rng.random(n) if even else _dna_content(rng, phase)
    stain = np.exp(rng.normal(0, 0.02))
    return content * stain * (1 + cv * rng.standard_normal(n)), np.bincount(phase, minlength=5) / n


@cache
def plate_model(*, cv: float, even: bool) -> PhaseModel:
    """The model of a plate with eight untreated wells of 1,000 nuclei."""
    fits = fit_plate([draw(9000 + k, UNTREATED, cv=cv, even=even)[0] for k in range(8)], 0, SETTINGS)
    assert isinstance(fits.deanjett, CycleFit)
    return fits.deanjett.model


def errors(model: PhaseModel, cycle: tuple[float, ...], *, cv: float, even: bool, how: str) -> Floats:
    """Errors (seeds, 3) of the fractions of G1, S and G2M, in points."""
    found = []
    for seed in range(10):
        content, truth = draw(seed, cycle, cv=cv, even=even)
        counts = bin_content(content)
        if how == "plate":
            weights = fit_weights(counts[None], replace(model, two_n=2.0).shapes())[0]
        else:
            fits = fit_well(content, model, SETTINGS, gated=0, saturated=np.nan)
            fit = fits.deanjett if how == "djf" else fits.watson
            assert isinstance(fit, CycleFit)
            weights = fit.weights
        found.append(100 * (weights - truth)[1:4])
    return np.array(found)


@pytest.mark.parametrize("cycle", CYCLES.values(), ids=CYCLES.keys())
@pytest.mark.parametrize(("even", "bias"), [(True, 1.0), (False, 2.0)], ids=["even S", "S thin at its ends"])
def test_deanjett_is_within_two_points_at_a_thousand_nuclei(cycle: tuple[float, ...], even: bool, bias: float) -> None:
    off = errors(plate_model(cv=0.05, even=even), cycle, cv=0.05, even=even, how="djf")
    assert np.sqrt((off**2).mean(axis=0)).max() < 2.0
    assert np.abs(off.mean(axis=0)).max() < bias
    assert np.abs(off).max() < 4.0  # knowing everything but the phases of single nuclei, 2.6 is reached


def test_the_well_s_own_peak_beats_the_plate_s_and_watson_is_close() -> None:
    model = plate_model(cv=0.05, even=True)
    rms = {
        how: float(np.sqrt((errors(model, UNTREATED, cv=0.05, even=True, how=how) ** 2).mean()))
        for how in ("djf", "watson", "plate")
    }
    assert rms["djf"] < 1.3
    assert rms["djf"] < rms["watson"] < 2.2
    assert rms["djf"] < rms["plate"] / 1.5


def test_plate_fit_does_not_take_uneven_stain_for_width() -> None:
    wells = [draw(k, UNTREATED, cv=0.05)[0] * stain for k, stain in enumerate(np.linspace(0.92, 1.08, 9))]
    pooled = fit_cycle(bin_content(np.concatenate(wells)), Prior.of_plate(cv=0.08))
    aligned = fit_plate(wells, 3, SETTINGS)
    assert isinstance(aligned.deanjett, CycleFit)
    assert pooled.model.cv > 0.065
    assert aligned.deanjett.model.cv == pytest.approx(0.05, abs=0.003)
    assert (aligned.single, aligned.gated) == (9000, 3)


@pytest.mark.parametrize("ratio", [1.85, 2.1])
def test_position_width_and_ratio_are_found(ratio: float) -> None:
    rng = np.random.default_rng(0)
    phase = rng.choice(3, 5000, p=[0.6, 0.2, 0.2])
    content = np.select([phase == 0, phase == 1], [2.1, rng.uniform(2.1, 2.1 * ratio, 5000)], 2.1 * ratio)
    content *= 1 + 0.07 * rng.standard_normal(5000)
    model = fit_cycle(bin_content(content), Prior.of_plate(cv=0.1)).model
    assert model.two_n == pytest.approx(2.1, rel=0.01)
    assert model.cv == pytest.approx(0.07, abs=0.004)
    assert model.four_n_ratio == pytest.approx(ratio, abs=0.03)


def test_probabilities_add_up_and_average_to_the_fractions() -> None:
    counts = bin_content(draw(0, UNTREATED)[0])
    fit = fit_cycle(counts, Prior.of_well(PhaseModel(cv=0.05, four_n_ratio=2.0)))
    table = fit.probabilities()
    np.testing.assert_allclose(table.sum(axis=1), 1)
    np.testing.assert_allclose(counts @ table / counts.sum(), fit.weights, atol=2e-3)
    assert PHASES[int(table[25].argmax())] == "SubG1"  # 1 N
    assert PHASES[int(table[50].argmax())] == "G1"
    assert PHASES[int(table[75].argmax())] == "S"
    assert PHASES[int(table[100].argmax())] == "G2M"
    assert PHASES[int(table[160].argmax())] == "Above4N"


def of_well(content: Floats, *, saturated: float = np.nan) -> CycleFits:
    return fit_well(content, PhaseModel(cv=0.06, four_n_ratio=2.0), SETTINGS, gated=0, saturated=saturated)


_RNG = np.random.default_rng(5)
REFUSED = {
    "too few": (draw(1, UNTREATED, n=29)[0], "29 single nuclei, at least 30 needed"),
    "noise": (_RNG.uniform(0, 8, 1000), "no peak: the nuclei lie"),
    "one wide peak": (2 * (1 + 0.25 * _RNG.standard_normal(1000)), "too wide: CV 0.2"),
    "failed stain": (np.concatenate([_RNG.normal(0.9, 0.06, 700), _RNG.normal(1.8, 0.12, 300)]), "describe"),
    "everything clipped": (np.full(1000, 9.0), "hold"),
}


@pytest.mark.parametrize(("content", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_refusals_say_why(content: Floats, words: str) -> None:
    fits = of_well(content)
    assert words in fits.reason
    assert np.isnan(fits.fractions).all()


@pytest.mark.parametrize("cv", [0.035, 0.09, 0.12])
def test_a_well_wider_or_narrower_than_its_plate_is_fitted_by_itself(cv: float) -> None:
    content, truth = draw(2, UNTREATED, cv=cv, n=3000)
    fit = of_well(content).deanjett
    assert isinstance(fit, CycleFit)
    assert fit.model.cv == pytest.approx(cv, rel=0.06)
    np.testing.assert_allclose(fit.weights, truth, atol=0.045)


@pytest.mark.parametrize("stain", [0.9, 1.2])
def test_a_well_stained_less_or_more_is_fitted_where_it_is(stain: float) -> None:
    content, truth = draw(2, UNTREATED)
    fit = of_well(content * stain).deanjett
    assert isinstance(fit, CycleFit)
    assert fit.model.two_n == pytest.approx(2 * stain, rel=0.06)
    np.testing.assert_allclose(fit.weights, truth, atol=0.03)


def test_fifty_nuclei_are_no_plate() -> None:
    fits = fit_plate([draw(1, UNTREATED, n=50)[0]], 0, SETTINGS)
    assert fits.reason == "50 single nuclei, at least 200 are needed for a plate"


def test_saturated_wells_are_refused_by_both() -> None:
    fits = of_well(draw(1, UNTREATED)[0], saturated=0.7)
    assert fits.reason.startswith("70% of the nuclei have saturated DNA pixels")
    assert fits.watson == fits.deanjett


def test_a_plate_whose_peaks_do_not_belong_together_is_refused() -> None:
    rng = np.random.default_rng(0)
    content = np.concatenate([rng.normal(2.0, 0.08, 3000), rng.normal(3.3, 0.13, 1500), rng.uniform(2, 3.3, 500)])
    fits = fit_plate([content], 0, SETTINGS)
    assert "times the 2N peak, outside 1.75 to 2.2" in fits.reason


def test_watson_says_where_it_sees_no_gap_and_no_peak() -> None:
    rng = np.random.default_rng(0)
    wide = PhaseModel(cv=0.14, four_n_ratio=2.0)
    content = np.concatenate([rng.normal(2, 0.28, 2000), rng.normal(4, 0.56, 2000)])
    found = fit_watson(bin_content(content), wide, ratios=(1.75, 2.2))
    assert isinstance(found, str)
    assert "no gap between the peaks" in found
    found = fit_watson(bin_content(rng.uniform(4, 8, 1000)), wide, ratios=(1.75, 2.2))
    assert found == "no 2N peak within 15% of the plate's"


def test_an_arrested_well_without_g1_is_fitted() -> None:
    content, truth = draw(3, (0.0, 0.02, 0.03, 0.95, 0.0))
    fits = of_well(content)
    assert fits.reason == ""
    np.testing.assert_allclose(fits.fractions, truth, atol=0.03)


def test_a_fit_takes_milliseconds() -> None:
    content = draw(0, UNTREATED, n=14_000)[0]
    of_well(content)
    start = time.process_time()
    for _ in range(10):
        of_well(content)
    assert time.process_time() - start < 2.5  # 60 ms each alone, a wave looked for; wide, for busy machines
