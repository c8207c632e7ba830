"""Simulated movies: the same settings give the same pixels, and the truth is that of living cells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hcs.errors import ConfigError
from hcs.plate.keys import FieldKey, WellId
from hcs.simulate.lineage import MITOSIS_MIN, Culture
from hcs.simulate.movie import SimulatedFrame, SimulatedMovie
from hcs.simulate.plate import lay_out_plate
from hcs.simulate.population import WellEffects
from hcs.simulate.settings import SimulationSettings

SETTINGS = SimulationSettings(wells=24, size_px=128, frames=10, interval_min=60.0, cycle_h=6.0, seed=1)
NEGATIVE = FieldKey(WellId(0, 0), 0)


def movie_of(settings: SimulationSettings, key: FieldKey = NEGATIVE) -> tuple[list[SimulatedFrame], pd.DataFrame]:
    movie = SimulatedMovie(lay_out_plate(settings), key)
    return list(movie.frames()), movie.lineage()


@pytest.fixture(scope="module")
def drawn() -> tuple[list[SimulatedFrame], pd.DataFrame]:
    return movie_of(SETTINGS)


def test_the_same_settings_give_the_same_movie(drawn: tuple[list[SimulatedFrame], pd.DataFrame]) -> None:
    again, lineage = movie_of(SETTINGS)
    for one, other in zip(drawn[0], again, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.labels, other.labels)
    pd.testing.assert_frame_equal(drawn[1], lineage)


def test_labels_are_tracks_and_the_table_has_each(drawn: tuple[list[SimulatedFrame], pd.DataFrame]) -> None:
    for frame in drawn[0]:
        numbers, areas = np.unique(frame.labels[frame.labels > 0], return_counts=True)
        table = frame.cells.sort_values("track")
        assert table["track"].tolist() == numbers.tolist()
        assert table["area_px"].tolist() == areas.tolist()


def test_mothers_divide_when_their_daughters_appear(drawn: tuple[list[SimulatedFrame], pd.DataFrame]) -> None:
    cells = pd.concat([frame.cells for frame in drawn[0]])
    spans = cells.groupby("track").agg(first=("frame", "min"), last=("frame", "max"), parent=("parent", "first"))
    assert (cells.groupby("track").size() == spans["last"] - spans["first"] + 1).all()  # no holes
    born = spans[spans["parent"] > 0]
    assert len(born) >= 6
    assert (born["first"] == spans.loc[born["parent"], "last"].to_numpy() + 1).all()
    assert born.groupby("parent").size().max() == 2


def culture_of(well: WellId, settings: SimulationSettings, side_px: int) -> Culture:
    return Culture(
        settings=settings,
        treatment=lay_out_plate(settings).treatment(well),
        effects=WellEffects(seeding=1.0, staining=1.0, ratio=1.0),
        rng=np.random.default_rng(0),
        side_px=side_px,
    )


def cycles_of(well: WellId) -> tuple[float, int]:
    """Median cycle of the cells that were born and divided in a long movie, and their number."""
    culture = culture_of(well, replace(SETTINGS, frames=30, density=100.0), 1000)
    for _ in culture.frames():
        pass
    whole = [e.divided_min - e.cell.born_min for e in culture.ended if e.cell.parent and e.cell.cycling == "inc"]
    cycles = np.array(whole)[np.isfinite(whole)]
    assert all(np.isnan(e.divided_min) for e in culture.ended if e.cell.cycling == "low")
    return float(np.median(cycles)), len(cycles)


def test_cycles_are_as_long_as_they_were_asked_to_be() -> None:
    plate_map = lay_out_plate(SETTINGS).plate_map
    slowed = plate_map[(plate_map["compound"] == "cycle-slower") & (plate_map["dose"] == 10.0)]["well"].iloc[0]
    (usual, n_usual), (slow, n_slow) = cycles_of(NEGATIVE.well), cycles_of(WellId.parse(slowed))
    assert min(n_usual, n_slow) >= 20
    assert usual == pytest.approx(360.0, rel=0.05)
    assert slow == pytest.approx(2 * 360.0, rel=0.08)


def test_dna_doubles_and_cells_condense_before_they_divide() -> None:
    culture = culture_of(NEGATIVE.well, SETTINGS, 400)
    _, cells = next(culture.frames())
    cell = next(cell for cell in cells if cell.cycling == "inc")
    born, divides = cell.born_min, cell.divides_min
    assert culture.dna_n(cell, born) == 2.0
    assert culture.dna_n(cell, divides) == 4.0
    assert cell.is_mitotic(divides - MITOSIS_MIN / 2)
    assert culture.area_px(cell, divides - 1) < 0.7 * culture.area_px(cell, divides - MITOSIS_MIN - 1)


def test_bleaching_and_drift_are_options() -> None:
    small = replace(SETTINGS, frames=3, interval_min=5.0, speed_um_h=0.0)
    still, _ = movie_of(small)
    pale, _ = movie_of(replace(small, bleaching=0.2))
    moved, _ = movie_of(replace(small, drift_px=4.0))
    ground = small.background_counts + small.camera_offset_counts
    light = [float(np.percentile(m[-1].image[0], 99)) - ground for m in (still, pale)]
    assert light[1] == pytest.approx(0.8**2 * light[0], rel=0.1)
    for frames, least, most in ((still, 0.0, 0.3), (moved, 1.0, 30.0)):
        first, last = (
            f.cells[~f.cells["touches_border"]].set_index("cell")[["y", "x"]] for f in (frames[0], frames[-1])
        )
        steps = (last - first).dropna()
        assert len(steps) >= 3
        assert steps.std().max() < 0.5  # all by the same
        assert least <= np.hypot(*steps.median()) < most


def test_light_can_make_nuclei_as_bright_as_their_cytoplasm() -> None:
    settings = replace(SETTINGS, frames=5, interval_min=20.0, stimulus_min=40.0, sensor="LEXY", light_ratio=1.0)
    frames, _ = movie_of(settings)
    cells = frames[4].cells
    assert cells.loc[~cells["dead"], "ratio"].median() == pytest.approx(0.98, abs=0.08)


@pytest.mark.parametrize(
    ("sensor", "before", "after"), [("KTR", (0.4, 0.7), (0.9, 2.0)), ("LEXY", (0.4, 0.6), (1.2, 2.2))]
)
def test_other_sensors_answer_when_they_are_told_to(
    sensor: str, before: tuple[float, float], after: tuple[float, float]
) -> None:
    settings = replace(SETTINGS, frames=5, interval_min=20.0, stimulus_min=40.0)
    frames, _ = movie_of(replace(settings, sensor=sensor))  # type: ignore[arg-type]
    ratios = [frame.cells.loc[~frame.cells["dead"], "ratio"].median() for frame in frames]
    assert before[0] < ratios[1] < before[1]
    assert after[0] < ratios[4] < after[1]
    assert lay_out_plate(replace(settings, sensor=sensor)).channels == ("DNA", sensor)  # type: ignore[arg-type]


def test_a_plate_of_movies_has_doses_and_controls() -> None:
    plate_map = lay_out_plate(SETTINGS).plate_map
    assert plate_map["role"].value_counts().to_dict() == {"sample": 15, "negative": 4, "positive": 4, "empty": 1}
    assert (plate_map["compound"] == "cycle-slower").sum() == 8
    with pytest.raises(ConfigError, match="frames is 0"):
        replace(SETTINGS, frames=0)
