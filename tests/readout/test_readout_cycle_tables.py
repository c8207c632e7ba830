"""Gates, CDK2 phases and the tables of the cell cycle, on plates whose cells are known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from hcs.errors import ConfigError
from hcs.readout.cycle.cdk2 import CDK2_FRACTIONS, CDK2_PHASES, cdk2_fractions, cdk2_phase, find_sensor_gate
from hcs.readout.cycle.columns import CYCLE_COLUMNS, GATES, PHASE_COLUMNS, PHASES, SENSOR_COLUMNS
from hcs.readout.cycle.gates import gate, learn_limits
from hcs.readout.cycle.tables import cycles_table, phase_parts, sensor_table
from hcs.readout.readouts import Readouts, make_readouts
from hcs.readout.settings import CycleSettings, ReadoutSettings
from hcs.simulate.compounds import CDK2_INHIBITOR, UNTREATED, VEHICLE, Condition, condition
from hcs.simulate.population import WellEffects, draw_population
from hcs.simulate.settings import SimulationSettings

Floats = npt.NDArray[np.float64]
SETTINGS = ReadoutSettings(draws=100)
WELLS = {"A01": VEHICLE, "A02": VEHICLE, "A03": VEHICLE, "B01": CDK2_INHIBITOR, "B02": CDK2_INHIBITOR}
N = 1000


def population(well: str, seed: int, state: Condition) -> tuple[pd.DataFrame, npt.NDArray[np.int64]]:
    """Nucleus table of a well as it would be measured without error, and each cell's true phase."""
    rng = np.random.default_rng(seed)
    cells = draw_population(rng, N, condition=state, effects=WellEffects.draw(rng), settings=SimulationSettings())
    table = pd.DataFrame(
        {
            "Metadata_Plate": "P",
            "Metadata_Well": well,
            "Metadata_Site": np.int32(0),
            "Metadata_ObjectNumber": np.arange(1, N + 1),
            "Nuclei_AreaShape_Area": cells.area_px.astype(np.float32),
            "Nuclei_AreaShape_Solidity": rng.normal(0.97, 0.008, N).astype(np.float32),
            "Nuclei_DNA_Content": cells.dna_total,
            "Nuclei_Sensor_Ratio": cells.ratio.astype(np.float32),
            "Nuclei_Flag_TouchesBorder": False,
        }
    )
    return table, cells.phase


def plate() -> tuple[pd.DataFrame, npt.NDArray[np.int64]]:
    """A plate of five wells, treated at the compound's top dose."""
    drawn = [population(well, i, condition(what, 10.0, seeding=1.0)) for i, (well, what) in enumerate(WELLS.items())]
    return pd.concat([table for table, _ in drawn], ignore_index=True), np.concatenate([phase for _, phase in drawn])


def read(nuclei: pd.DataFrame) -> Readouts:
    fields = pd.DataFrame({"well": [*WELLS, "B03"], "field": 0, "status": "ok", "reason": ""})
    role = ["negative" if what is VEHICLE else "positive" for what in WELLS.values()]
    plate_map = pd.DataFrame({"well": [*WELLS], "role": role, "compound": "", "dose": np.nan, "unit": ""})
    return make_readouts(nuclei, fields, plate_map, SETTINGS)


@pytest.fixture(scope="module")
def nuclei() -> pd.DataFrame:
    return plate()[0]


@pytest.fixture(scope="module")
def readouts(nuclei: pd.DataFrame) -> Readouts:
    return read(nuclei)


@pytest.fixture(scope="module")
def phases(readouts: Readouts, nuclei: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([part for _, part in phase_parts(readouts.cycle, nuclei)], ignore_index=True)


def test_fractions_of_wells_are_those_of_their_cells(readouts: Readouts) -> None:
    truth = plate()[1].reshape(-1, N)
    found = readouts.wells[[f"Fraction_{phase}" for phase in PHASES]].to_numpy()[: len(WELLS)]
    shares = np.stack([(truth == k).mean(axis=1) for k in range(5)], axis=1)
    assert np.abs(found - shares).max() < 0.035
    assert np.sqrt(((found - shares) ** 2).mean()) < 0.015


def test_well_without_nuclei_says_so_and_others_give_no_reason(readouts: Readouts) -> None:
    reasons = dict(zip(readouts.wells["Metadata_Well"], readouts.wells["Cycle_Reason"], strict=True))
    assert reasons == dict.fromkeys(WELLS, "") | {"B03": "0 single nuclei, at least 30 needed"}


def test_cycles_have_a_row_per_well_and_model_and_the_plate_s(readouts: Readouts) -> None:
    table = cycles_table(readouts.cycle, "P")
    assert table.columns.tolist() == [column.name for column in CYCLE_COLUMNS]
    assert table["Metadata_Well"].tolist() == [w for w in [*WELLS, "B03", ""] for _ in range(2)]
    assert table["Model"].tolist() == ["watson", "djf"] * (len(WELLS) + 2)
    own = table[table["Metadata_Well"] == ""].set_index("Model")
    assert own.loc["djf", "CV_G1"] == pytest.approx(0.05, abs=0.004)
    assert own.loc["djf", "Ratio_G2G1"] == pytest.approx(2.0, abs=0.02)
    assert own.loc["djf", "Count_Nuclei"] + own.loc["djf", "Count_Gated"] == 3 * N
    fractions = table.loc[table["Reason"] == "", [f"Fraction_{phase}" for phase in PHASES]]
    assert fractions.sum(axis=1).tolist() == pytest.approx([1] * len(fractions))
    refused = table[table["Reason"] != ""]
    assert refused["Metadata_Well"].tolist() == ["B03", "B03"]
    assert refused.filter(regex="Fraction|CV|Ratio|TwoN|Misfit").isna().all(axis=None)


def test_fractions_of_the_well_table_are_the_fit_s_and_the_nuclei_s_mean(
    readouts: Readouts, phases: pd.DataFrame
) -> None:
    table = cycles_table(readouts.cycle, "P")
    djf = table[table["Model"] == "djf"].set_index("Metadata_Well")
    wells = readouts.wells.set_index("Metadata_Well")
    means = phases.groupby("Metadata_Well")[[f"Probability_{phase}" for phase in PHASES]].mean()
    for phase in PHASES:
        name = f"Fraction_{phase}"
        assert wells.loc["A01", name] == djf.loc["A01", name]
        assert means.loc["A01", f"Probability_{phase}"] == pytest.approx(wells.loc["A01", name], abs=2e-3)


def test_phases_of_nuclei(phases: pd.DataFrame, nuclei: pd.DataFrame) -> None:
    assert phases.columns.tolist() == [column.name for column in PHASE_COLUMNS]
    keys = ["Metadata_Well", "Metadata_ObjectNumber"]
    pd.testing.assert_frame_equal(phases[keys], nuclei[keys], check_dtype=False)
    single = phases["Gate"] == "single"
    assert single.mean() > 0.99
    probabilities = phases.loc[single, [f"Probability_{phase}" for phase in PHASES]]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    best = probabilities.to_numpy().argmax(axis=1)
    assert (phases.loc[single, "Phase"].astype(str) == np.array(PHASES)[best]).all()
    assert phases.loc[~single, "Phase"].isna().all()
    truth = plate()[1]
    agree = (np.array(PHASES)[truth] == phases["Phase"].astype(str)).mean()
    assert agree > 0.93  # what overlapping peaks leave possible


def test_cdk2_phases_follow_dna_and_sensor(readouts: Readouts, phases: pd.DataFrame, nuclei: pd.DataFrame) -> None:
    sensor = sensor_table(readouts.cycle, "P")
    assert sensor.columns.tolist() == [column.name for column in SENSOR_COLUMNS]
    row = sensor.iloc[0]
    assert row["Reason"] == ""
    assert row["Threshold"] == row["Threshold_Mixture"]
    assert row["Threshold_Fixed"] == 0.8
    assert 0.75 < row["Threshold"] < 1.1  # G1 cells have 0.5 to 0.75, G2M cells 1.35 to 1.75
    high = nuclei["Nuclei_Sensor_Ratio"] > row["Threshold"]
    single = phases["Gate"] == "single"
    assert ((phases["CDK2_State"] == "high") == (high & single)).all()
    quiet = phases["CDK2_Phase"] == "G0/G1 CDK2-low"
    assert (phases.loc[quiet, "Phase"] == "G1").all()
    assert not high[quiet].any()
    assert set(phases["CDK2_Phase"].dropna()) <= set(CDK2_PHASES)
    wells = readouts.wells.set_index("Metadata_Well")
    parts = wells.loc[list(WELLS), [*CDK2_FRACTIONS, "Fraction_SubG1", "Fraction_Above4N"]]
    assert parts.sum(axis=1).tolist() == pytest.approx([1] * len(WELLS), abs=0.005)
    assert wells.loc["B01", "Fraction_CDK2_G0G1Low"] > wells.loc["A01", "Fraction_CDK2_G0G1Low"] + 0.2


def test_without_a_sensor_there_is_no_cdk2(nuclei: pd.DataFrame) -> None:
    bare = nuclei.drop(columns="Nuclei_Sensor_Ratio")
    found = read(bare)
    assert sensor_table(found.cycle, "P").empty
    assert found.wells[[*CDK2_FRACTIONS, "Fraction_SensorHighMixture"]].isna().all(axis=None)
    _, part = next(phase_parts(found.cycle, bare))
    assert "CDK2_Phase" not in part


def test_without_a_peak_everything_is_refused_and_nothing_crashes(nuclei: pd.DataFrame) -> None:
    flat = nuclei.assign(Nuclei_DNA_Content=2 ** np.random.default_rng(0).uniform(0, 8, len(nuclei)))
    found = read(flat)
    assert found.wells["Cycle_Reason"].str.startswith("no usable 2N peak: ").all()
    assert any("nothing can be said of DNA content" in note for note in found.notes)
    _, part = next(phase_parts(found.cycle, flat))
    assert part["Phase"].isna().all()
    assert part["Probability_G1"].isna().all()
    assert set(part["CDK2_State"].dropna()) == {"low", "high"}  # the sensor needs no DNA content
    assert part["CDK2_Phase"].isna().all()


def test_nuclei_at_the_border_are_gated_and_not_fitted(nuclei: pd.DataFrame, readouts: Readouts) -> None:
    cut = nuclei.copy()
    cut.loc[cut.index[:300], "Nuclei_Flag_TouchesBorder"] = True
    cut.loc[cut.index[:300], "Nuclei_DNA_Content"] *= 0.6
    found = read(cut)
    assert found.cycle.fits[0].single < readouts.cycle.fits[0].single - 250
    _, part = next(phase_parts(found.cycle, cut))
    assert (part["Gate"][:300] == "border").all()
    assert found.wells["Fraction_G1"].iloc[0] == pytest.approx(readouts.wells["Fraction_G1"].iloc[0], abs=0.04)


def test_doublets_and_debris_by_hand() -> None:
    rng = np.random.default_rng(0)
    content = np.concatenate([np.full(100, 2.0), [4.0, 4.0, 4.0, 2.0, 0.2, 1.0, np.nan]])
    area = np.concatenate([np.full(100, 400.0), [800, 800, 500, 800, 200, 50, 800]])
    solidity = np.concatenate([rng.normal(0.97, 0.005, 100), [0.90, 0.97, 0.90, 0.90, 0.97, 0.97, 0.90]])
    border = np.zeros(len(content), bool)
    border[0] = True
    limits = learn_limits(content, area, solidity, CycleSettings())
    names = [GATES[code] for code in gate(content, area, solidity, border, limits)]
    assert names[:2] == ["border", "single"]
    # notched and large with 4 N; round G2; notched but small; notched but 2 N; no DNA; a speck; content not known
    assert names[100:] == ["doublet", "single", "single", "single", "debris", "debris", "doublet"]


def test_doublets_of_two_g1_nuclei_do_not_pass_for_g2m(nuclei: pd.DataFrame, readouts: Readouts) -> None:
    rng = np.random.default_rng(1)
    extra = nuclei[nuclei["Metadata_Well"] == "A01"].iloc[:150].copy()
    two_n = readouts.peak.two_n
    extra["Nuclei_DNA_Content"] = 2 * two_n * rng.normal(1, 0.04, 150)
    extra["Nuclei_AreaShape_Area"] = rng.normal(900, 60, 150)
    extra["Nuclei_AreaShape_Solidity"] = rng.normal(0.88, 0.01, 150)
    found = read(pd.concat([nuclei, extra], ignore_index=True))
    assert found.cycle.fits[0].gated >= 145
    assert found.wells["Fraction_G2M"].iloc[0] == pytest.approx(readouts.wells["Fraction_G2M"].iloc[0], abs=0.01)


@pytest.mark.parametrize(("low", "high", "share"), [(0.5, 1.5, 0.5), (0.6, 1.2, 0.2), (0.6, 1.4, 0.8)])
def test_sensor_mixture_finds_two_populations(low: float, high: float, share: float) -> None:
    rng = np.random.default_rng(0)
    n = 2000
    is_high = rng.random(n) < share
    ratio = np.where(is_high, high, low) * np.exp2(0.15 * rng.standard_normal(n))
    found = find_sensor_gate(ratio, fixed=0.8, source_wells="wells", settings=CycleSettings())
    assert found.low == pytest.approx(low, rel=0.03)
    assert found.high == pytest.approx(high, rel=0.03)
    assert found.share_high == pytest.approx(is_high.mean(), abs=0.01)
    assert low < found.mixture < high
    assert ((ratio > found.mixture) == is_high).mean() > 0.98
    assert found.threshold == found.mixture


def test_equal_components_are_parted_half_way() -> None:
    rng = np.random.default_rng(0)
    ratio = np.exp2(np.concatenate([rng.normal(-1, 0.2, 5000), rng.normal(1, 0.2, 5000)]))
    found = find_sensor_gate(ratio, fixed=0.8, source_wells="wells", settings=CycleSettings())
    assert found.mixture == pytest.approx(1, abs=0.03)
    assert found.separation == pytest.approx(np.sqrt(2) * 2 / np.hypot(0.2, 0.2), rel=0.03)


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (np.full(199, 1.0), "199 nuclei with a sensor ratio in wells, at least 200"),
        (np.exp2(np.random.default_rng(0).normal(0, 0.3, 5000)), "one population"),
        (np.exp2(np.random.default_rng(0).uniform(-1, 1, 5000)), "one population"),
        (np.concatenate([np.random.default_rng(0).normal(1, 0.05, 5000), np.full(60, 9.0)]), "holds 1% of the nuclei"),
    ],
    ids=["few", "one Gaussian", "flat", "outliers"],
)
def test_sensor_mixture_refuses_and_the_fixed_threshold_stands(ratio: Floats, words: str) -> None:
    found = find_sensor_gate(ratio, fixed=0.8, source_wells="wells", settings=CycleSettings())
    assert words in found.reason
    assert np.isnan(found.mixture)
    assert found.threshold == 0.8


def test_the_fixed_threshold_can_be_asked_for() -> None:
    ratio = np.repeat([0.5, 1.5], 500) * np.exp2(0.1 * np.random.default_rng(0).standard_normal(1000))
    found = find_sensor_gate(ratio, fixed=0.8, source_wells="wells", settings=CycleSettings(sensor_gate="fixed"))
    assert np.isfinite(found.mixture)
    assert found.threshold == 0.8


def test_cdk2_phases_by_hand() -> None:
    probability = np.array([[0, 1, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0.0]])
    ratio = np.array([0.5, 0.9, 0.5, np.nan])
    assert cdk2_fractions(probability, ratio, 0.8).tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])
    assert np.isnan(cdk2_fractions(probability, np.full(4, np.nan), 0.8)).all()
    phase = np.array([0, 1, 1, 2, 3, 4, -1, 1], np.int8)
    ratio = np.array([1.0, 0.5, 0.9, 0.1, 0.1, 1.0, 1.0, np.nan])
    assert cdk2_phase(phase, ratio, 0.8).tolist() == [-1, 0, 1, 2, 3, -1, -1, -1]


def test_clipped_eight_bit_dna_says_what_can_and_cannot_be_concluded(nuclei: pd.DataFrame) -> None:
    rng = np.random.default_rng(0)
    clipped = nuclei.assign(
        Nuclei_DNA_Content=rng.gamma(2.0, 1.0, len(nuclei)) * nuclei["Nuclei_AreaShape_Area"] * 20,
        Nuclei_Flag_SaturatedPixels_DNA=(rng.random(len(nuclei)) < 0.3).astype(np.int32),
    )
    fields = pd.DataFrame({"well": [*WELLS], "field": 0, "status": "ok", "reason": ""})
    found = make_readouts(clipped, fields, None, SETTINGS, dna="DNA")
    assert not found.peak.usable
    assert found.wells["Fraction_G1"].isna().all()
    assert found.wells["Mean_Nuclei_Sensor_Ratio"].notna().all()
    notes = " ".join(found.notes)
    assert "counts, shapes and the sensor ratio do not need it" in notes
    assert "of these nuclei have saturated DNA pixels" in notes


@pytest.mark.parametrize(
    "wrong",
    [{"min_nuclei": 5}, {"max_misfit": 0.0}, {"debris_n": 3.0}, {"doublet_area": 0.5}, {"sensor_min_share": 0.6}],
)
def test_settings_refuse_nonsense(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"readout.cycle.{next(iter(wrong))} is"):
        CycleSettings(**wrong)  # type: ignore[arg-type]


def test_every_column_is_defined() -> None:
    assert all(c.definition for c in (*CYCLE_COLUMNS, *PHASE_COLUMNS, *SENSOR_COLUMNS))
    assert sum(UNTREATED) == pytest.approx(1)
