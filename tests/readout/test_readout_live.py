"""What is read from tracks, on traces whose truth is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from hcs.errors import ConfigError
from hcs.readout.groups import numeric_readouts
from hcs.readout.live.columns import CYCLE_COLUMNS, FRAME_COLUMNS, LEADING, LIVE_WELL_COLUMNS
from hcs.readout.live.growth import area_growth, count_interval, find_growth, watched_min
from hcs.readout.live.light import find_light, nucleus_over_cytoplasm
from hcs.readout.live.over_time import WINDOW_COLUMNS, ZPRIME_TIME_COLUMNS, best_window, zprime_over_time
from hcs.readout.live.rise import find_rise
from hcs.readout.live.settings import LiveSettings
from hcs.readout.live.stimulus import find_answer
from hcs.readout.live.survival import kaplan_meier
from hcs.readout.live.traces import Trace, smooth
from hcs.readout.live.wells import live_readouts
from hcs.readout.screen.assay import assay_quality
from hcs.readout.screen.logistic import fit_curve, replicate_weights
from hcs.readout.screen.zprime import compare_wells
from hcs.readout.settings import ReadoutSettings
from hcs.simulate.compounds import CYCLE_SLOWER

Floats = npt.NDArray[np.float64]
STEP = 20.0
SETTINGS = ReadoutSettings()
LIVE = LiveSettings()


def test_survival_by_hand() -> None:
    """Of 5 cells two are no longer watched after 2 and 4: 4/5, then 4/5 × 2/3, then 0."""
    found = kaplan_meier(np.array([1.0, 2, 3, 4, 5]), np.array([True, False, True, False, True]))
    assert found.time.tolist() == [1, 3, 5]
    assert found.share == pytest.approx([0.8, 0.8 * 2 / 3, 0])
    assert (found.at(0.5), found.at(3.5), found.median()) == (1.0, pytest.approx(0.8 * 2 / 3), 5.0)
    assert found.at(5.5) == 0.0
    assert np.isnan(kaplan_meier(np.array([1.0, 2]), np.array([True, False])).at(2.5))


def test_a_median_that_is_not_reached_is_none() -> None:
    found = kaplan_meier(np.array([1.0, 9, 9, 9]), np.array([True, False, False, False]))
    assert np.isnan(found.median())
    assert np.isnan(kaplan_meier(np.zeros(0), np.zeros(0, bool)).median())


def watched(rng: np.random.Generator, cells: int) -> tuple[Floats, Floats]:
    """Cycles (n,) of 720 min, give or take a fifth, and how long (n,) each cell, born at any time of a movie of 1000
    min, can be watched."""
    return rng.normal(720, 720 / 5, cells), 1000 - rng.uniform(0, 1000, cells)


def test_cycles_are_not_shortened_by_the_end_of_the_movie() -> None:
    """The mean of the cells that finish is 9 % too short, as the slow ones do not; the median by Kaplan-Meier is right
    within 2 % on average, and its interval holds the truth in nearly all of 200 wells."""
    rng = np.random.default_rng(0)
    medians, holds, finished = [], [], []
    for _ in range(200):
        cycle, until = watched(rng, 200)
        time = np.floor(np.minimum(cycle, until) / STEP) * STEP + STEP / 2
        found = kaplan_meier(time, cycle <= until)
        low, high = found.median_interval(0.95)
        medians.append(found.median())
        holds.append(low - STEP / 2 <= 720 <= (np.inf if np.isnan(high) else high + STEP / 2))
        finished.append(cycle[cycle <= until].mean())
    assert np.nanmean(medians) == pytest.approx(720, rel=0.02)
    assert (np.abs(np.array(medians) / 720 - 1) < 0.05).mean() > 0.8
    assert 0.90 <= np.mean(holds) <= 0.995
    assert np.mean(finished) < 0.93 * 720


def cdk2(kind: str, time: Floats, rng: np.random.Generator) -> Floats:
    """Sensor ratio over minutes after birth: from 0.6 up to 1.6 in 12 h, to 0.45, or that for 4 to 8 h, then up."""
    low = 0.45 + 0.15 * np.exp(-time / 25)
    start = {"inc": 0.0, "emerging": rng.uniform(240, 480), "low": np.inf}[kind]
    ratio = 0.6 + time / 720 if kind == "inc" else np.where(time > start, 0.45 + (time - start) / 720, low)
    return ratio * np.exp(rng.normal(0, 0.05, len(time)))


def test_classes_after_mitosis_are_right_for_95_percent() -> None:
    rng = np.random.default_rng(1)
    time = np.arange(0, 760, STEP)
    right = [
        find_rise(time, smooth(cdk2(kind, time, rng), 3), LIVE).kind == kind
        for kind in ("inc", "emerging", "low")
        for _ in range(150)
    ]
    assert np.mean(right) >= 0.95


def test_a_rise_begins_where_it_does() -> None:
    time = np.arange(0, 760, STEP)
    ratio = np.where(time > 300, 0.45 + (time - 300) / 720, 0.45)
    found = find_rise(time, ratio, LIVE)
    assert found.kind == "emerging"
    assert found.begins == pytest.approx(300 + 720 * 0.2 / 3)
    assert found.lowest == pytest.approx(0.45)


def test_one_frame_above_is_no_rise_and_a_short_watch_no_class() -> None:
    time = np.arange(0, 400, STEP)
    ratio = np.full(len(time), 0.45)
    ratio[8] = 0.9
    found = find_rise(time, ratio, LIVE)
    assert (found.kind, found.unrisen) == ("undecided", 380.0)


def answer(time: Floats, *, amplitude: float, tau: float, stop: float) -> Floats:
    """0.5 until 60 min, then up by ``amplitude`` with time constant ``tau``, and back from ``stop`` min after that."""
    since = time - 60
    up = amplitude * (1 - np.exp(-np.maximum(since, 0) / tau))
    back = np.exp(-np.maximum(since - stop, 0) / tau)
    return 0.5 + np.where(since > 0, up * back, 0)


@pytest.mark.parametrize("amplitude", [0.8, -0.3])
def test_answers_to_a_stimulus_up_and_down(amplitude: float) -> None:
    """Half of 1 - exp(-t / 20) is reached at 20 log 2 min, as is half on the way back."""
    time = np.arange(0, 400, 2.0)
    cells = [Trace(0, k, time, answer(time, amplitude=amplitude, tau=20, stop=150)) for k in range(12)]
    found = find_answer(cells, LiveSettings(stimulus_min=60))
    assert found.amplitude == pytest.approx(amplitude, rel=0.01)
    assert found.time_to_half == pytest.approx(20 * np.log(2), abs=1)
    assert found.duration == pytest.approx(150, abs=2)
    assert found.area == pytest.approx(amplitude * 150, rel=0.02)


def test_an_answer_that_lasts_beyond_the_movie_has_no_duration() -> None:
    time = np.arange(0, 200, 2.0)
    cells = [Trace(0, k, time, answer(time, amplitude=0.8, tau=20, stop=999)) for k in range(12)]
    assert np.isnan(find_answer(cells, LiveSettings(stimulus_min=60)).duration)
    late = [Trace(0, k, time[40:], cells[0].value[40:]) for k in range(12)]
    assert "0 tracks are watched before" in find_answer(late, LiveSettings(stimulus_min=60)).reason
    assert "no time of a stimulus" in find_answer(cells, LIVE).reason


def population(rng: np.random.Generator, *, doubling_h: float = 20.0, cells: int = 60, frames: int = 61) -> tuple:
    """Times, nuclei and tracks of cells that divide at random."""
    chance = 1 - np.exp(-np.log(2) / (doubling_h * 60) * STEP)
    count, total, born = [cells], cells, 0
    for _ in range(frames - 1):
        new = int(rng.binomial(total, chance))
        born, total = born + new, total + new
        count.append(total)
    tracks = pd.DataFrame({"Track_Ended": ["divided"] * born + ["end"] * total})
    return np.arange(frames) * STEP, np.array(count, float), tracks, sum(count[:-1]) * STEP


def test_the_interval_of_the_doubling_time_holds_the_truth() -> None:
    rng = np.random.default_rng(2)
    found = [
        find_growth(time, count, tracks, watched_min=watched, confidence=0.95)
        for time, count, tracks, watched in (population(rng) for _ in range(300))
    ]
    assert np.median([f.doubling_h for f in found]) == pytest.approx(20, rel=0.05)
    assert 0.90 <= np.mean([f.doubling_low_h <= 20 <= f.doubling_high_h for f in found]) <= 0.995
    rate = 24 / 20 * np.log(2)
    assert np.median([f.divisions_per_day for f in found]) == pytest.approx(rate, rel=0.05)
    assert 0.92 <= np.mean([f.divisions_low <= rate <= f.divisions_high for f in found]) <= 0.99


def test_intervals_of_counts_are_garwoods() -> None:
    """The exact limits of 0 and 10 events in his table."""
    assert count_interval(0, 0.95) == (0.0, pytest.approx(3.6889, abs=1e-3))
    assert count_interval(10, 0.95) == (pytest.approx(4.7954, abs=1e-3), pytest.approx(18.3904, abs=1e-3))


def test_watched_are_living_nuclei_until_their_daughters_are_seen() -> None:
    """Frames at 0, 10, 40 and 100 min: a mother of the first two whose daughters are seen at 40, which makes 40; one of
    these to the end, 60, the other dead from 100 on, 60; a track of one frame, 0."""
    tracks = pd.DataFrame(
        [
            (0, 1, 0, 0.0, 10.0, "divided", -1),
            (0, 2, 1, 40.0, 100.0, "end", -1),
            (0, 3, 1, 40.0, 400.0, "died", 3),
            (1, 1, 0, 40.0, 40.0, "lost", -1),
        ],
        columns=["Metadata_Site", "Track_Label", "Track_Parent", *(f"Track_{n}" for n in _ENDS)],
    )
    assert watched_min(tracks, {0: 0.0, 1: 10.0, 2: 40.0, 3: 100.0}) == 160.0


_ENDS = ("FirstMin", "LastMin", "Ended", "DeathFrame")


def test_a_compound_that_slows_the_cycle_has_its_ec50_by_the_hours_of_a_division() -> None:
    """The length of the cycle has the EC50 of the compound. The rate, its inverse, is a curve of the same slope whose
    EC50 is lower by (length at full effect / untreated) ^ (1 / slope)."""
    slower = CYCLE_SLOWER
    doses = np.repeat(np.geomspace(0.005, 10, 8), 2)
    hours = np.array([12 * (1 + slower.slowing * slower.effect(dose)) for dose in doses])
    hours *= np.tile([0.99, 1.01], 8)
    ends = []
    for values in (hours, 24 / hours):
        x = np.log10(doses)
        curve = fit_curve(x, values, replicate_weights(x, values), confidence=0.95)
        ends.append((10.0**curve.log_ec50, 10.0**curve.low, 10.0**curve.high))
    (length, low, high), (rate, rate_low, rate_high) = ends
    of_rate = slower.ec50_um / (1 + slower.slowing) ** (1 / slower.hill)
    assert (length, rate) == (pytest.approx(0.5, rel=0.1), pytest.approx(of_rate, rel=0.1))
    assert low < 0.5 < high
    assert rate_low < of_rate < rate_high < 0.5


def test_nuclei_that_do_not_become_more_have_no_doubling_time() -> None:
    tracks = pd.DataFrame({"Track_Ended": ["end"] * 10})
    found = find_growth(np.arange(20) * STEP, np.linspace(50, 40, 20), tracks, watched_min=4000, confidence=0.95)
    assert np.isnan(found.doubling_h)
    assert "do not become more" in found.reason
    assert found.per_day < 0


def test_growth_of_area_by_hand() -> None:
    time = np.arange(0, 300, STEP)
    assert area_growth([Trace(0, 1, time, 100 * 1.03 ** (time / 60))]) == pytest.approx(3.0)


def plate(kinds: dict[str, dict[str, float]], *, cells: int = 40, frames: int = 61, seed: int = 0) -> tuple:
    """Nuclei and tracks of wells whose cells, all born in divisions, are of the classes that ``kinds`` says."""
    rng = np.random.default_rng(seed)
    nuclei, tracks = [], []
    for well, shares in kinds.items():
        for label in range(1, cells + 1):
            first = int(rng.integers(1, frames - 5))
            kind = rng.choice(list(shares), p=list(shares.values()))
            length = int(rng.normal(720, 60) / STEP) if kind == "inc" else frames
            last = min(first + length - 1, frames - 1)
            at = np.arange(first, last + 1)
            base = {"Metadata_Well": well, "Metadata_Site": 0}
            nuclei.append(
                pd.DataFrame(
                    base
                    | {
                        "Metadata_Timepoint": at,
                        "Metadata_Time_min": at * STEP,
                        "Nuclei_TrackObjects_Label": label,
                        "Nuclei_TrackObjects_Quality": 0.95,
                        "Nuclei_Sensor_Ratio": cdk2(kind, (at - first) * STEP, rng),
                        "Nuclei_AreaShape_Area": 300 * 1.02 ** ((at - first) * STEP / 60),
                    }
                )
            )
            tracks.append(
                base
                | {
                    "Track_Label": label,
                    "Track_Parent": 999,
                    "Track_FirstFrame": first,
                    "Track_FirstMin": first * STEP,
                    "Track_LastMin": last * STEP,
                    "Track_Frames": len(at),
                    "Track_Began": "divided",
                    "Track_Ended": "divided" if last < frames - 1 else "end",
                    "Track_DeathFrame": -1,
                    "Track_Quality": 0.95,
                    "Track_AreaJumps": 0,
                    "Track_Path": 3.0 * len(at),
                }
            )
            if last < frames - 1:
                daughter = {"Track_Label": 1000 + label, "Track_Parent": label, "Track_FirstMin": (last + 1) * STEP}
                tracks.append(tracks[-1] | daughter | {"Track_Quality": 0.0, "Track_Ended": "end"})
    return [(well, table) for well, table in pd.concat(nuclei).groupby("Metadata_Well")], pd.DataFrame(tracks)


def test_readouts_of_wells_from_tables() -> None:
    shares = {"inc": 0.6, "emerging": 0.1, "low": 0.3}
    tables, tracks = plate({"A01": shares, "A02": {"inc": 1.0}}, cells=150)
    found = live_readouts(tables, tracks, ["A01", "A02", "A03"], SETTINGS, interval_min=STEP, threshold=0.8)
    wells = found.wells.set_index("Metadata_Well")
    assert list(found.wells.columns) == ["Metadata_Well", *(column.name for column in LIVE_WELL_COLUMNS)]
    assert wells.loc["A01", "Fraction_LiveInc"] == pytest.approx(0.6, abs=0.12)
    assert wells.loc["A01", "Fraction_LiveLow"] == pytest.approx(0.3, abs=0.12)
    assert wells.loc["A02", "Fraction_LiveInc"] == pytest.approx(1.0, abs=0.04)
    assert wells.loc["A02", "Live_CycleMin"] == pytest.approx(720, rel=0.05)
    assert wells.loc["A02", "Live_AreaGrowthPerHour"] == pytest.approx(2.0, abs=0.1)
    assert wells.loc["A02", "Live_SpeedPxPerHour"] == pytest.approx(9.3, abs=0.4)
    assert wells.loc["A03", "Live_Reason"] == "no nuclei"
    assert np.isnan(wells.loc["A03", "Live_CycleMin"])
    assert list(found.cycles.columns) == [column.name for column in CYCLE_COLUMNS]
    assert list(found.frames.columns) == [column.name for column in FRAME_COLUMNS]
    first = found.frames.iloc[0]
    members = tables[0][1].query("Metadata_Timepoint == @first.Metadata_Timepoint")
    assert first["Count_Nuclei"] == len(members)
    assert first["Mean_Nuclei_Sensor_Ratio"] == pytest.approx(members["Nuclei_Sensor_Ratio"].mean())
    assert any("600 min" in note or "tracks have a quality" in note for note in found.notes)


def test_a_cell_that_dies_has_not_risen() -> None:
    """A dead nucleus keeps no sensor out: its ratio is 1, from the frame of its death on, which is not CDK2."""
    tables, tracks = plate({"A01": {"low": 1.0}})
    ((well, nuclei),) = tables
    dies = tracks["Track_FirstFrame"] + 8
    dead = (tracks["Track_Label"] < 900) & (dies + 4 < tracks["Track_LastMin"] / STEP)
    tracks = tracks.assign(Track_DeathFrame=np.where(dead, dies, -1), Track_Ended=np.where(dead, "died", "end"))
    since = nuclei["Nuclei_TrackObjects_Label"].map(tracks.set_index("Track_Label")["Track_DeathFrame"])
    is_dead = (since >= 0) & (nuclei["Metadata_Timepoint"] >= since)
    assert is_dead.sum() > 100
    nuclei = nuclei.assign(Nuclei_Sensor_Ratio=nuclei["Nuclei_Sensor_Ratio"].where(~is_dead, 1.0))
    cycles = live_readouts([(well, nuclei)], tracks, ["A01"], SETTINGS, interval_min=STEP, threshold=0.8).cycles
    died = cycles["Ended"] == "died"
    assert set(cycles.loc[died, "Class"]) == {"undecided"}
    assert cycles.loc[died, "Watched_Min"].tolist() == [8 * STEP] * int(died.sum())
    blind = live_readouts(
        [(well, nuclei)], tracks.assign(Track_Ended="lost"), ["A01"], SETTINGS, interval_min=STEP, threshold=0.8
    ).cycles
    assert (blind.loc[died, "Class"] == "inc").any()


def test_tracks_below_the_threshold_are_not_read() -> None:
    tables, tracks = plate({"A01": {"inc": 1.0}})
    tracks["Track_Quality"] = 0.3
    tables = [(well, nuclei.assign(Nuclei_TrackObjects_Quality=0.3)) for well, nuclei in tables]
    found = live_readouts(tables, tracks, ["A01"], SETTINGS, interval_min=STEP, threshold=0.8)
    row = found.wells.iloc[0]
    assert row["Count_Tracks"] > 40
    assert row["Count_TracksRead"] == 0
    assert np.isnan(row["Live_CycleMin"])
    assert "0 cells born and tracked, 10 needed" in row["Live_Reason"]


def test_without_an_interval_times_are_none_and_counts_are_there() -> None:
    tables, tracks = plate({"A01": {"inc": 1.0}})
    tables = [(well, nuclei.assign(Metadata_Time_min=np.nan)) for well, nuclei in tables]
    row = live_readouts(tables, tracks, ["A01"], SETTINGS, interval_min=None, threshold=0.8).wells.iloc[0]
    assert row["Count_Tracks"] > 40
    assert np.isnan(row["Live_CycleMin"])
    assert "interval" in row["Live_Reason"]


def test_without_any_table_all_columns_are_there() -> None:
    found = live_readouts((), pd.DataFrame(), ["A01"], SETTINGS, interval_min=None, threshold=0.8)
    assert set(LEADING) <= set(found.wells.columns)
    assert not len(found.cycles)
    readouts = numeric_readouts(found.wells)
    assert set(LEADING) <= set(readouts)
    assert not {"Live_CycleMin_Low", "Count_TracksLost", "Fraction_AreaJumps"} & set(readouts)


def assay(values: Floats, *, positive: int, readout: str = "Count_PerField") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Frames and wells of values (wells, frames), the first ``positive`` of them positive controls."""
    wells = [f"A{k + 1:02d}" for k in range(len(values))]
    frames = pd.DataFrame(
        {
            "Metadata_Well": np.repeat(wells, values.shape[1]),
            "Metadata_Timepoint": np.tile(np.arange(values.shape[1]), len(wells)),
            "Metadata_Time_min": np.tile(np.arange(values.shape[1]) * STEP, len(wells)),
            readout: values.ravel(),
        }
    )
    roles = ["positive"] * positive + ["negative"] * (len(values) - positive)
    table = pd.DataFrame({"Metadata_Plate": "p", "Metadata_Well": wells, "Metadata_Role": roles})
    return frames, table.assign(Metadata_Compound="", Metadata_Dose=np.nan, Metadata_Unit="", Count_Nuclei_Measured=50)


def test_z_prime_at_every_frame_is_that_of_its_wells() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1, (10, 6))
    values[:5, 3:] += 20
    frames, wells = assay(values, positive=5)
    found = zprime_over_time(frames, wells, SETTINGS)
    assert list(found.columns) == [column.name for column in ZPRIME_TIME_COLUMNS]
    assert found["Metadata_Timepoint"].tolist() == list(range(6))
    expected = compare_wells(values[:5, 4], values[5:, 4], settings=SETTINGS).zprime
    row = found.iloc[4]
    assert (row["ZPrime"], row["ZPrime_Low"]) == (pytest.approx(expected.value), pytest.approx(expected.low))
    assert row["Metadata_Time_min"] == 80


def test_the_best_window_is_found_and_judged_by_wells_that_did_not_choose_it() -> None:
    """A signal in frames 20 to 28 alone; and, without any window that is better than another, a Z' that is not
    flattered by the choice."""
    rng = np.random.default_rng(4)
    values = rng.normal(0, 1, (12, 40))
    values[:6, 20:29] += 25
    frames, wells = assay(values, positive=6)
    (row,) = best_window(frames, wells, SETTINGS).to_dict("records")
    assert list(row) == [column.name for column in WINDOW_COLUMNS]
    assert row["FirstFrame"] >= 20
    assert row["LastFrame"] <= 28
    assert row["ZPrime"] > 0.5
    assert row["Stability"] == 1.0
    chosen, judged = [], []
    for seed in range(25):
        noise = np.random.default_rng(seed).normal(0, 1, (12, 40))
        noise[:6] += 8
        (row,) = best_window(*assay(noise, positive=6), ReadoutSettings(live=LiveSettings(window_frames=(1,)))).to_dict(
            "records"
        )
        chosen.append(row["ZPrime_Chosen"])
        judged.append(row["ZPrime"])
    true = 1 - 3 * 2 / 8
    assert np.mean(chosen) > true + 0.2
    assert np.mean(judged) < true + 0.1


def test_too_few_wells_to_choose_and_judge_are_said_to_be() -> None:
    frames, wells = assay(np.random.default_rng(0).normal(size=(6, 5)), positive=3)
    (row,) = best_window(frames, wells, SETTINGS).to_dict("records")
    assert np.isnan(row["ZPrime"])
    assert "4 of each needed" in row["Reason"]


def test_readouts_of_tracks_are_readouts_like_any_other() -> None:
    _, wells = assay(np.zeros((8, 1)), positive=4)
    wells["Live_CycleMin"] = [1200.0, 1210, 1190, 1205, 700, 710, 690, 705]
    found = assay_quality(wells, SETTINGS).set_index("Readout")
    expected = compare_wells([1200.0, 1210, 1190, 1205], [700, 710, 690, 705], settings=SETTINGS)
    assert found.loc["Live_CycleMin", "ZPrime"] == pytest.approx(expected.zprime.value)


def test_settings_that_cannot_be_are_refused() -> None:
    for name, value in (("smooth_frames", 2), ("low_min", 100.0), ("min_quality", 1.0), ("stimulus_min", 0.0)):
        with pytest.raises(ConfigError, match=rf"readout\.live\.{name}"):
            LiveSettings(**{name: value})


def lit(time: Floats, *, tau_out: float, tau_back: float, on: float = 30.0, off: float = 90.0) -> Floats:
    """Nucleus over cytoplasm: 2.0, towards 0.8 while the light is on, and back."""
    gone = 1 - np.exp(-np.clip(time - on, 0, off - on) / tau_out)
    gone = np.where(time > off, gone * np.exp(-(time - off) / tau_back), gone)
    return np.asarray(2.0 - 1.2 * gone)


@pytest.mark.parametrize("off", [90.0, None])
def test_half_times_of_export_and_recovery(off: float | None) -> None:
    """Half of 1 - exp(-t / 8) is reached at 8 log 2 min, half of exp(-t / 20) at 20 log 2; a fifth of noise in single
    cells does not move the median of 40."""
    time = np.arange(0, 180, 5.0)
    rng = np.random.default_rng(2)
    truth = lit(time, tau_out=8, tau_back=20)
    cells = [Trace(0, k, time, truth * np.exp(0.2 * rng.standard_normal(len(time)))) for k in range(40)]
    found = find_light(cells, LiveSettings(stimulus_min=30, light_off_min=off))
    assert found.before == pytest.approx(2.0, rel=0.06)
    assert found.loss == pytest.approx(0.6, abs=0.05)
    assert found.export_half == pytest.approx(8 * np.log(2), abs=1.2)
    if off is None:  # the lowest of a noisy plateau may be any of its frames
        assert found.recovery_half == pytest.approx(20 * np.log(2), abs=50)
    else:
        assert found.recovery_half == pytest.approx(20 * np.log(2), abs=2)
    assert found.reason == ""


def test_half_times_that_nobody_saw_have_a_reason() -> None:
    time = np.arange(0, 180, 5.0)
    settings = LiveSettings(stimulus_min=30, light_off_min=90)
    fast = find_light([Trace(0, k, time, lit(time, tau_out=1, tau_back=20)) for k in range(12)], settings)
    assert np.isnan(fast.export_half)
    assert "film more often" in fast.reason
    slow = find_light([Trace(0, k, time, lit(time, tau_out=8, tau_back=900)) for k in range(12)], settings)
    assert np.isnan(slow.recovery_half)
    assert slow.reason == "recovery: half is not reached in 85 min"
    none = find_light([Trace(0, k, time, np.full(len(time), 2.0)) for k in range(12)], settings)
    assert np.isnan(none.export_half)
    assert "falls by 0 %" in none.reason
    few = find_light([Trace(0, 0, time, lit(time, tau_out=8, tau_back=20))], settings)
    assert few.reason == "1 tracks are watched from before the light on, 10 needed"
    upside = nucleus_over_cytoplasm([Trace(0, 0, time[:3], np.array([0.5, -1.0, 2.0]))])
    assert upside[0].value.tolist() == [2.0, 0.5]
    with pytest.raises(ConfigError, match="light_off_min is 20"):
        LiveSettings(stimulus_min=30, light_off_min=20)
