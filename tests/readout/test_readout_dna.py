"""The 2N peak and the phase fractions, on DNA contents drawn with known phases."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.signal import find_peaks
from scipy.stats import norm

from hcs.readout.cycle.columns import PHASES
from hcs.readout.cycle.dna import DnaPeak, find_peak, prominent_peaks
from hcs.readout.cycle.phases import EDGES_N, PhaseModel, basis, bin_content, bin_of, fit_weights
from hcs.readout.settings import ReadoutSettings

SETTINGS = ReadoutSettings()
Floats = npt.NDArray[np.float64]


def draw(fractions: tuple[float, ...], *, cv: float, n: int, ratio: float, seed: int) -> tuple[Floats, Floats]:
    """Contents (n,) with 2N at 1000 and the share of each phase really drawn; fractions as in PHASES."""
    rng = np.random.default_rng(seed)
    phase = rng.choice(5, n, p=fractions)
    truth = np.select(
        [phase == 0, phase == 1, phase == 2, phase == 3],
        [
            rng.uniform(0.1, 1.5, n),
            np.full(n, 2.0),
            rng.uniform(2, 2 * ratio, n),
            np.full(n, 2.0 * ratio),
        ],
        default=rng.uniform(5, 8, n),
    )
    return 500 * truth * (1 + cv * rng.standard_normal(n)), np.bincount(phase, minlength=5) / n


def peak_of(content: Floats) -> DnaPeak:
    return find_peak(content, source_wells="4 negative-control wells", settings=SETTINGS)


@pytest.mark.parametrize("cv", [0.05, 0.08])
@pytest.mark.parametrize("ratio", [1.9, 2.0])
@pytest.mark.parametrize(
    "cycle", [(0.02, 0.58, 0.24, 0.15, 0.01), (0.0, 0.4, 0.2, 0.4, 0.0), (0.05, 0.75, 0.1, 0.1, 0.0)]
)
def test_fractions_within_three_points(cv: float, ratio: float, cycle: tuple[float, ...]) -> None:
    content, truth = draw(cycle, cv=cv, n=5000, ratio=ratio, seed=1)
    peak = peak_of(content)
    assert peak.usable
    assert peak.two_n == pytest.approx(1000, rel=0.015)
    assert peak.cv == pytest.approx(cv, abs=0.01)
    assert peak.four_n_ratio == pytest.approx(ratio, abs=0.04)
    found = fit_weights(bin_content(peak.content_n(content))[None], peak.shapes())[0]
    assert np.abs(found - truth).max() < 0.03


def test_one_peak_only_is_2n() -> None:
    content, _ = draw((0, 1, 0, 0, 0), cv=0.06, n=1000, ratio=2, seed=2)
    peak = peak_of(content)
    assert peak.usable
    assert peak.two_n == pytest.approx(1000, rel=0.01)


def test_debris_at_half_the_content_is_not_taken_for_2n() -> None:
    cells, _ = draw((0, 0.8, 0.15, 0.05, 0), cv=0.06, n=3000, ratio=2, seed=3)
    debris = np.random.default_rng(3).normal(500, 40, 400)
    assert peak_of(np.concatenate([cells, debris])).two_n == pytest.approx(1000, rel=0.02)


def test_lower_of_the_pair_is_2n_even_when_4n_is_the_higher_one() -> None:
    content, _ = draw((0, 0.3, 0.1, 0.6, 0), cv=0.06, n=3000, ratio=2, seed=4)
    assert peak_of(content).two_n == pytest.approx(1000, rel=0.02)


def test_scale_of_the_image_does_not_matter() -> None:
    content, _ = draw((0, 0.6, 0.25, 0.15, 0), cv=0.07, n=2000, ratio=2, seed=5)
    one, other = peak_of(content), peak_of(content * 1e6)
    assert other.two_n == pytest.approx(1e6 * one.two_n, rel=1e-3)
    assert other.cv == pytest.approx(one.cv, abs=2e-3)


def test_too_few_nuclei() -> None:
    peak = peak_of(np.full(199, 1000.0))
    assert not peak.usable
    assert peak.reason.startswith("199 nuclei with DNA content in 4 negative-control wells, at least 200 are")
    assert np.isnan(peak.content_n([1.0, 2.0])).all()


def test_content_without_a_peak_is_refused() -> None:
    peak = peak_of(2 ** np.random.default_rng(0).uniform(0, 8, 3000))
    assert not peak.usable
    assert peak.reason


def test_too_wide_a_peak_is_refused() -> None:
    peak = peak_of(1000 * np.exp(0.4 * np.random.default_rng(0).standard_normal(3000)))
    assert not peak.usable
    assert "CV" in peak.reason


def test_a_shoulder_above_most_nuclei_is_not_taken_for_2n() -> None:
    rng = np.random.default_rng(4)
    uneven = np.concatenate([rng.uniform(100, 1500, 2500), rng.normal(2000, 80, 700), rng.uniform(2000, 3500, 500)])
    peak = peak_of(uneven)
    assert not peak.usable
    assert "no 2N peak" in peak.reason
    assert np.isnan(peak.content_n(uneven)).all()


def test_saturated_dna_is_refused_with_its_share() -> None:
    content, _ = draw((0, 0.6, 0.25, 0.15, 0), cv=0.05, n=500, ratio=2, seed=6)
    peak = find_peak(content, source_wells="all wells", settings=SETTINGS, saturated=0.8)
    assert not peak.usable
    assert peak.reason.startswith("80% of the nuclei have saturated DNA pixels")


def test_identical_contents_do_not_crash() -> None:
    assert peak_of(np.full(500, 3.0)).two_n == pytest.approx(3.0, rel=0.05)


def test_negative_zero_and_missing_contents_are_left_out_of_the_peak() -> None:
    content, _ = draw((0, 0.6, 0.25, 0.15, 0), cv=0.05, n=500, ratio=2, seed=7)
    peak = peak_of(np.concatenate([content, [np.nan, np.inf, 0.0, -5.0]]))
    assert peak.n == 500


def test_components_are_distributions() -> None:
    shapes = PhaseModel(cv=0.08, four_n_ratio=1.95).shapes()
    assert shapes.shape == (len(PHASES), len(EDGES_N) - 1)
    assert (shapes >= 0).all()
    np.testing.assert_allclose(shapes.sum(axis=1), 1, atol=1e-3)
    middle = (EDGES_N[:-1] + EDGES_N[1:]) / 2
    np.testing.assert_allclose((shapes @ middle)[1:4], [2, 2.95, 3.9], atol=0.02)  # G1, S, G2M


def test_weights_of_a_well_without_nuclei_are_nan_and_others_add_up() -> None:
    shapes = PhaseModel(cv=0.06, four_n_ratio=2).shapes()
    weights = fit_weights(np.stack([bin_content([]), bin_content([2.0, 2.02, 4.0])]), shapes)
    assert np.isnan(weights[0]).all()
    assert weights[1].sum() == pytest.approx(1)
    assert weights[1][1] == pytest.approx(2 / 3, abs=0.02)
    assert weights[1][3] == pytest.approx(1 / 3, abs=0.02)


def test_far_out_contents_count_as_sub_g1_and_above_4n() -> None:
    weights = fit_weights(bin_content([-3.0, 0.0, 40.0, 2.0])[None], PhaseModel(cv=0.06, four_n_ratio=2).shapes())[0]
    np.testing.assert_allclose(weights, [0.5, 0.25, 0, 0, 0.25], atol=0.01)


def test_bins_of_contents() -> None:
    assert bin_of(np.array([-1.0, 0.0, 0.05, 2.0, 8.99, 9.0, 40.0, np.nan])).tolist() == [0, 0, 1, 50, 224, 224, 224, 0]
    assert bin_content([0.05, 2.0, np.nan, np.inf]).sum() == 2


@given(seed=st.integers(0, 10_000), levels=st.sampled_from([3, 8, 0]), least=st.sampled_from([0.0, 0.2, 0.6]))
def test_peaks_are_those_of_scipy(seed: int, levels: int, least: float) -> None:
    density = np.random.default_rng(seed).random(80)
    density = np.round(density * levels) / levels if levels else np.convolve(density, np.ones(5) / 5)
    expected, _ = find_peaks(density, prominence=least)
    np.testing.assert_array_equal(prominent_peaks(density, least), expected)


@given(cv=st.floats(0.02, 0.4), ratio=st.floats(1.5, 2.6), two_n=st.floats(1.5, 2.6))
def test_parts_of_the_model_are_what_they_are_said_to_be(cv: float, ratio: float, two_n: float) -> None:
    parts = basis(cv=cv, four_n_ratio=ratio, two_n=two_n)
    four_n = two_n * ratio
    for part, centre in ((3, two_n), (8, four_n)):
        np.testing.assert_allclose(parts[part], np.diff(norm.cdf(EDGES_N, centre, cv * centre)), atol=2e-12)
    middle = int(bin_of(np.array((two_n + four_n) / 2)))
    left, right = EDGES_N[middle : middle + 2]

    def late_s(place: float) -> float:
        centre = two_n + (four_n - two_n) * place
        return float(3 * place**2 * (norm.cdf(right, centre, cv * centre) - norm.cdf(left, centre, cv * centre)))

    wave = basis(cv=cv, four_n_ratio=ratio, two_n=two_n, wave_place=0.3, wave_width=0.05)[7]
    centre = two_n + 0.3 * (four_n - two_n)
    spread = np.hypot(cv * centre, 0.05 * (four_n - two_n))
    np.testing.assert_allclose(wave, np.diff(norm.cdf(EDGES_N, centre, spread)), atol=2e-12)
    assert parts[6, middle] == pytest.approx(quad(late_s, 0, 1, limit=200)[0], rel=0.01)
    below = two_n * (1 - 2 * cv)
    share = np.clip(EDGES_N / below, 0, 1) ** 3
    np.testing.assert_allclose(parts[2], np.diff(share), atol=2e-12)
