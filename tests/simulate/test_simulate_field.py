"""Pixels and truth of simulated fields."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hcs.errors import ConfigError
from hcs.plate.keys import FieldKey, WellId
from hcs.simulate.cytoplasm import nearest_nucleus
from hcs.simulate.field import SimulatedField, simulate_field
from hcs.simulate.nuclei import correlated_noise, draw_outline
from hcs.simulate.optics import expose, illumination
from hcs.simulate.plate import SimulatedPlate, lay_out_plate
from hcs.simulate.settings import SimulationSettings
from hcs.simulate.truth import truth_wells


def measure(field: SimulatedField) -> pd.DataFrame:
    """Sensor ratio and DNA content from pixels and true labels, by the definitions of the real measurement.

    Ring of 5 px after a gap of 1 px; background = 1st percentile of the means of 8 x 8 blocks.
    """
    number = len(field.cells)
    labels = field.labels
    distance, owner = nearest_nucleus(labels.astype(np.int32))
    ring = (distance > 1) & (distance <= 6)
    dna, sensor = (channel - background(channel) for channel in field.image.astype(float))
    area = np.bincount(labels.ravel(), minlength=number + 1)[1:]
    ring_mean = (
        np.bincount(owner[ring], sensor[ring], number + 1)[1:]
        / np.bincount(owner[ring], minlength=number + 1).clip(1)[1:]
    )
    nucleus_mean = np.bincount(labels.ravel(), sensor.ravel(), number + 1)[1:] / area
    content = np.bincount(labels.ravel(), dna.ravel(), number + 1)[1:]
    return field.cells.assign(measured_ratio=ring_mean / nucleus_mean, measured_dna=content)


def background(channel: NDArray[np.float64]) -> float:
    side = channel.shape[0] // 8
    blocks = channel[: side * 8, : side * 8].reshape(side, 8, side, 8).mean(axis=(1, 3))
    return float(np.percentile(blocks, 1))


@dataclass(frozen=True)
class MeasuredPlate:
    plate: SimulatedPlate
    cells: pd.DataFrame
    """Nuclei off the border, measured."""
    truth: pd.DataFrame


@pytest.fixture(scope="module")
def measured() -> MeasuredPlate:
    """A plate of 24 wells, with every compound at four doses."""
    plate = lay_out_plate(SimulationSettings(wells=24, size_px=512, doses=4, seed=7))
    fields = [simulate_field(plate, key) for key in plate.keys]
    cells = pd.concat([measure(field) for field in fields if len(field.cells)])
    truth = truth_wells(pd.concat([field.cells for field in fields]), wells=plate.wells)
    return MeasuredPlate(plate, cells[~cells["touches_border"]], truth)


@pytest.fixture(scope="module")
def field() -> SimulatedField:
    return simulate_field(lay_out_plate(SimulationSettings(wells=6)), FieldKey(WellId.parse("A01"), 0))


def test_a_field_depends_on_seed_and_key_alone() -> None:
    plate = lay_out_plate(SimulationSettings(wells=6, fields=2, size_px=128, density=500.0))
    forward = {key: simulate_field(plate, key) for key in plate.keys}
    again = lay_out_plate(SimulationSettings(wells=6, fields=2, size_px=128, density=500.0))
    backward = {key: simulate_field(again, key) for key in reversed(again.keys)}
    for key in plate.keys:
        assert forward[key].image.tobytes() == backward[key].image.tobytes()
        assert forward[key].labels.tobytes() == backward[key].labels.tobytes()
        pd.testing.assert_frame_equal(forward[key].cells, backward[key].cells)
    assert len({one.image.tobytes() for one in forward.values()}) == len(plate.keys)
    other = lay_out_plate(SimulationSettings(wells=6, fields=2, size_px=128, density=500.0, seed=1))
    assert simulate_field(other, plate.keys[0]).image.tobytes() != forward[plate.keys[0]].image.tobytes()


def test_table_agrees_with_labels(field: SimulatedField) -> None:
    labels, cells = field.labels, field.cells
    assert field.image.shape == (2, 512, 512)
    assert field.image.dtype == np.uint16
    assert labels.dtype == np.uint32
    assert list(cells["label"]) == list(range(1, labels.max() + 1))
    assert 70 < len(cells) < 160
    for row in cells.itertuples():
        pixels = np.argwhere(labels == row.label)
        assert row.area_px == len(pixels)
        assert (row.y, row.x) == pytest.approx(tuple(pixels.mean(axis=0)))
        assert row.touches_border == bool(np.isin(pixels, (0, 511)).any())
    assert cells["touches_border"].any()
    assert not cells["touches_border"].all()


def test_every_inner_nucleus_is_one_piece_and_some_touch(field: SimulatedField) -> None:
    inner = field.cells.loc[~field.cells["touches_border"], "label"]
    pieces = [cv2.connectedComponents((field.labels == n).view(np.uint8), connectivity=4)[0] - 1 for n in inner]
    assert set(pieces) == {1}
    blobs = cv2.connectedComponents((field.labels > 0).view(np.uint8))[0] - 1
    assert 0.5 * len(field.cells) < blobs < 0.95 * len(field.cells)


def test_size_follows_the_diameter_asked_for() -> None:
    areas = []
    for diameter in (16.0, 32.0):
        plate = lay_out_plate(SimulationSettings(wells=1, nucleus_diameter_px=diameter, density=250.0))
        cells = simulate_field(plate, plate.keys[0]).cells
        areas.append(cells.loc[(cells["phase"] == "G1") & ~cells["touches_border"], "area_px"].mean())
    assert areas[0] == pytest.approx(np.pi * 8**2, rel=0.08)
    assert areas[1] == pytest.approx(np.pi * 16**2, rel=0.08)


@pytest.mark.parametrize("size", [64, 101, 256, 700])
def test_any_size(size: int) -> None:
    plate = lay_out_plate(SimulationSettings(wells=1, size_px=size))
    drawn = simulate_field(plate, plate.keys[0])
    assert drawn.image.shape == (2, size, size)
    assert drawn.labels.shape == (size, size)


def test_empty_well_has_no_nucleus_but_a_background() -> None:
    plate = lay_out_plate(SimulationSettings(wells=6, size_px=256))
    empty = WellId.parse(plate.plate_map.set_index("role").loc["empty", "well"])
    blank = simulate_field(plate, FieldKey(empty, 0))
    assert not blank.labels.any()
    assert blank.cells.empty
    # offset 100 + background 120, less up to 15 % of the background for shading
    assert 100 + 0.85 * 120 < np.median(blank.image) < 100 + 120
    filled = simulate_field(plate, FieldKey(WellId.parse("A01"), 0))
    assert dict(blank.cells.dtypes) == dict(filled.cells.dtypes)


def test_crowded_well_is_crowded(measured: MeasuredPlate) -> None:
    counts = measured.truth.set_index("well")["count"]
    crowded = str(measured.plate.crowded[0])
    assert counts[crowded] > 1.4 * counts[counts.index != crowded].median()


def test_twelve_bits_clip_at_4095() -> None:
    plate = lay_out_plate(SimulationSettings(wells=1, bit_depth=12, dna_counts=3000.0, size_px=256))
    assert simulate_field(plate, plate.keys[0]).image.max() == 4095


def test_integrated_stain_peaks_at_2n_and_4n(measured: MeasuredPlate) -> None:
    cells = measured.cells
    by_phase = cells.groupby("phase")["measured_dna"]
    peak = by_phase.median()
    assert peak["G2M"] / peak["G1"] == pytest.approx(2.0, abs=0.06)
    spread = by_phase.std() / by_phase.mean()
    assert 0.04 < spread["G1"] < 0.09
    assert peak["subG1"] < 0.8 * peak["G1"]
    synthesis = cells.loc[cells["phase"] == "S", "dna_n"]
    assert synthesis.between(2, 4).all()
    assert synthesis.mean() == pytest.approx(3.0, abs=0.15)
    area = cells.groupby("phase")["area_px"].mean()
    assert 1.4 < area["G2M"] / area["G1"] < 1.8


def test_measured_ratio_is_the_true_ratio(measured: MeasuredPlate) -> None:
    means = measured.cells.groupby("well")[["ratio", "measured_ratio"]].mean()
    assert np.corrcoef(means["ratio"], means["measured_ratio"])[0, 1] >= 0.98
    slope = np.polyfit(means["ratio"], means["measured_ratio"], 1)[0]
    assert slope == pytest.approx(1.0, abs=0.1)
    ratio = measured.cells.groupby("phase")["ratio"].median()
    assert 0.5 < ratio["G1"] < 0.7 < ratio["S"] < ratio["G2M"] < 1.8


def test_dose_moves_the_readouts_the_right_way(measured: MeasuredPlate) -> None:
    readouts = ["mean_ratio", "fraction_g2m", "fraction_g1"]
    wells = measured.truth.merge(measured.plate.plate_map, on="well")
    curves = wells[wells["role"] == "sample"].groupby(["compound", "dose"])[readouts].mean()
    controls = wells.groupby("role")[readouts].mean()
    inhibitor, arrester = curves.loc["cdk2-inhibitor"], curves.loc["g2m-arrester"]
    assert controls.loc["positive", "mean_ratio"] < 0.65
    assert controls.loc["negative", "mean_ratio"] > 0.85
    assert inhibitor["mean_ratio"].iloc[-1] < inhibitor["mean_ratio"].iloc[0] - 0.05
    assert inhibitor["fraction_g1"].min() > controls.loc["negative", "fraction_g1"]
    assert arrester["fraction_g2m"].min() > controls.loc["negative", "fraction_g2m"] + 0.15


def test_truth_wells_by_hand() -> None:
    cells = pd.DataFrame(
        {
            "well": ["A01", "A01", "A01", "B02"],
            "phase": ["G1", "G2M", "S", "G1"],
            "ratio": [0.5, 1.5, 9.0, 0.6],
            "dna_n": [2.0, 4.0, 3.0, 2.0],
            "touches_border": [False, False, True, True],
            "brightness": [1.0, 1.0, 20.0, 1.0],
        }
    )
    table = truth_wells(cells, wells=(WellId(0, 0), WellId(1, 1), WellId(2, 2))).set_index("well")
    assert list(table["count"]) == [2, 0, 0]
    assert list(table["count_all"]) == [3, 1, 0]
    assert list(table["count_bright"]) == [0, 0, 0]
    assert list(table["count_bright_all"]) == [1, 0, 0]
    inside = truth_wells(cells.assign(touches_border=False)).set_index("well")
    assert inside.loc["A01", ["count", "count_bright", "fraction_s", "mean_ratio"]].tolist() == [3, 1, 0.0, 1.0]
    assert table.loc["A01", ["fraction_g1", "fraction_s", "fraction_g2m", "mean_ratio", "mean_dna_n"]].tolist() == [
        0.5,
        0.0,
        0.5,
        1.0,
        3.0,
    ]
    assert table.loc[["B02", "C03"], ["fraction_g1", "mean_ratio"]].isna().all(axis=None)
    assert list(truth_wells(cells)["well"]) == ["A01", "B02"]


def test_illumination_by_its_definition() -> None:
    light = illumination(np.random.default_rng(3), 200, 0.15)
    assert light.max() == pytest.approx(1.0, abs=1e-3)
    assert light.min() == pytest.approx(0.85, abs=2e-3)


def test_camera_noise_has_the_photons_variance() -> None:
    settings_ = SimulationSettings(electrons_per_count=0.5, read_noise_electrons=4.0)
    flat = np.full((400, 400), 680.0, np.float32)
    counts = expose(np.random.default_rng(0), flat, np.ones_like(flat), settings_).astype(float)
    # (680 + 120) counts are 400 electrons: variance (400 + 4^2) / 0.5^2 = 1664 counts^2, plus rounding
    assert counts.mean() == pytest.approx(900.0, abs=0.5)
    assert counts.var() == pytest.approx(1664.0, rel=0.02)


@pytest.mark.parametrize("sigma", [1.3, 12.0])
def test_correlated_noise_is_standardised(sigma: float) -> None:
    noise = correlated_noise(np.random.default_rng(1), 701, sigma)
    assert noise.shape == (701, 701)
    assert noise.mean() == pytest.approx(0.0, abs=0.15)
    assert noise.std() == pytest.approx(1.0, abs=0.12)


@settings(max_examples=40)
@given(seed=st.integers(0, 2**31), area=st.floats(40, 4000), aspect=st.floats(1, 2.2))
def test_outline_fits_its_grid_and_has_its_area(seed: int, area: float, aspect: float) -> None:
    outline = draw_outline(np.random.default_rng(seed), area_px=area, aspect=aspect)
    mask = outline.mask
    assert mask.sum() == pytest.approx(area, rel=0.2)
    assert np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]).sum() == 0
    assert cv2.connectedComponents(mask.view(np.uint8), connectivity=4)[0] == 2
    assert outline.depth[~mask].max() == 0


DEADLY = {"wells": 8, "doses": 1, "size_px": 512, "nucleus_diameter_px": 32.0, "density": 250.0}


def test_bright_dead_cells_shine_and_change_nothing_else() -> None:
    usual = lay_out_plate(SimulationSettings(**DEADLY))  # type: ignore[arg-type]
    deadly = lay_out_plate(SimulationSettings(**DEADLY, dead_brightness=(5.0, 50.0)))  # type: ignore[arg-type]
    wells = [well for well in usual.wells if (c := usual.treatment(well).compound) and c.name == "cytotoxic"]
    key = FieldKey(wells[0], 0)
    before, after = simulate_field(usual, key), simulate_field(deadly, key)
    assert (before.labels == after.labels).all()
    assert (before.image[1] == after.image[1]).all()  # the sensor's channel
    shining = (after.cells["brightness"] > 1).to_numpy()
    same = [name for name in before.cells if name not in ("dna_total", "brightness")]
    pd.testing.assert_frame_equal(before.cells[same], after.cells[same])
    assert (before.cells["dna_total"] == after.cells["dna_total"])[~shining].all()
    assert 0.3 < shining.mean() < 0.5  # 40 % of the cells at the full dose
    assert after.cells["dead"][shining].all()
    assert after.cells["brightness"][shining].between(5, 50).all()
    inner = after.cells[shining & ~after.cells["touches_border"]]
    shown = [after.image[0][after.labels == label].mean() - 220 for label in inner["label"]]
    ratio = np.array(shown) / (1200 * inner["brightness"])
    assert np.median(ratio) == pytest.approx(0.85, abs=0.15)  # blurred, shaded
    added = after.image[0].astype(float) - before.image[0]
    living = np.isin(after.labels, after.cells["label"][~shining])
    # halos lie over living nuclei, but the cells that shine are told by far
    assert 0 < np.median(added[living]) < 1200
    assert (added > -5 * np.sqrt(after.image[0])).all()


def test_only_the_cytotoxic_compound_makes_bright_dead_cells() -> None:
    plate = lay_out_plate(SimulationSettings(**DEADLY, dead_brightness=(5.0, 50.0)))  # type: ignore[arg-type]
    shining = {
        str(plate.treatment(key.well).compound and plate.treatment(key.well).compound.name): bool(  # type: ignore[union-attr]
            (simulate_field(plate, key).cells["brightness"] > 1).any()
        )
        for key in plate.keys
    }
    assert {name for name, any_shine in shining.items() if any_shine} == {"cytotoxic"}


@pytest.mark.parametrize("bright", [(0.5, 2.0), (8.0, 4.0)])
def test_impossible_brightness_is_refused(bright: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match="dead_brightness"):
        SimulationSettings(dead_brightness=bright)


def test_uneven_cells_have_the_same_nuclei_and_hold_them() -> None:
    planned = {
        kind: lay_out_plate(SimulationSettings(wells=4, size_px=200, seed=3, cells=kind)) for kind in ("even", "uneven")
    }
    even, uneven = (simulate_field(plate, FieldKey(plate.wells[1], 0)) for plate in planned.values())
    assert even.labels.max() > 5
    np.testing.assert_array_equal(even.labels, uneven.labels)
    nuclei = uneven.labels > 0
    np.testing.assert_array_equal(uneven.whole_cells[nuclei], uneven.labels[nuclei])
    assert (uneven.whole_cells != even.whole_cells).mean() > 0.05
    sensor, cells = uneven.image[1].astype(float), uneven.whole_cells > 0
    assert sensor[cells & ~nuclei].mean() > 1.5 * np.median(sensor[~cells])


def test_movies_have_even_cells() -> None:
    with pytest.raises(ConfigError, match=r"simulate\.cells"):
        SimulationSettings(cells="uneven", frames=3)
