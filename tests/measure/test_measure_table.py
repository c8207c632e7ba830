"""The nucleus table of a field: column families by hand, the dictionary, and what must not matter."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cp_measure.core.measureobjectintensity import get_intensity
from numpy.typing import NDArray

from hcs.errors import ConfigError
from hcs.measure.columns import channel_suffixes, column_dictionary
from hcs.measure.measure import NucleusTable, measure_nuclei
from hcs.measure.settings import MeasureSettings

CHANNELS = ("DNA", "GFP-FKHR")


def measure(
    labels: NDArray[np.integer], image: NDArray[np.generic], *, settings: MeasureSettings | None = None
) -> NucleusTable:
    """Measure with the usual channels."""
    return measure_nuclei(
        labels, image, channels=CHANNELS, dna="DNA", sensor="GFP-FKHR", settings=settings or MeasureSettings()
    )


def square_field(dtype: str = "u2") -> tuple[NDArray[np.uint32], NDArray[np.generic]]:
    """One 10 × 10 nucleus of label 7 in 64 × 64 pixels: DNA 110 on 10; sensor 40 on 20, ring at 80."""
    labels = np.zeros((64, 64), np.uint32)
    labels[27:37, 27:37] = 7
    image = np.empty((2, 64, 64))
    image[0], image[1] = 10, 20
    image[1, 21:43, 21:43] = 80
    image[0, 27:37, 27:37], image[1, 27:37, 27:37] = 110, 40
    return labels, image.astype(dtype)


def random_field(seed: int, *, dtype: str = "u2") -> tuple[NDArray[np.int64], NDArray[np.generic]]:
    """Some rectangles with noise, in 90 × 80 pixels."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((90, 80), np.int64)
    for value in range(1, 15):
        y, x = rng.integers(0, 85), rng.integers(0, 75)
        labels[y : y + rng.integers(3, 14), x : x + rng.integers(3, 14)] = value
    return labels, rng.integers(0, 250, (2, 90, 80)).astype(dtype)


def test_square_nucleus_by_hand() -> None:
    labels, image = square_field()
    frame = measure(labels, image).to_frame()
    row = frame.iloc[0]
    assert len(frame) == 1
    assert row["Metadata_ObjectNumber"] == 7
    assert row["Nuclei_AreaShape_Area"] == 100
    assert np.isnan(row["Nuclei_AreaShape_AreaUm2"])
    assert (row["Nuclei_AreaShape_Center_X"], row["Nuclei_AreaShape_Center_Y"]) == (31.5, 31.5)
    assert row["Nuclei_AreaShape_BoundingBoxMaximum_X"] == 37
    assert row["Nuclei_Intensity_IntegratedIntensity_DNA"] == 11_000
    assert row["Nuclei_Intensity_LocalBackground_DNA"] == 10
    assert row["Nuclei_DNA_Content"] == 10_000
    assert row["Nuclei_Intensity_MeanIntensity_GFPFKHR"] == 40
    # Four sides of 5 × 10, and at each corner the 26 offsets of 1…6 steps with 1 < squared distance ≤ 36.
    corner = sum(1 < dy**2 + dx**2 <= 36 for dy in range(1, 7) for dx in range(1, 7))
    assert row["Cytoplasm_AreaShape_Area"] == 4 * 50 + 4 * corner
    assert row["Cytoplasm_Intensity_MeanIntensity_GFPFKHR"] == 80
    assert row["Cytoplasm_Intensity_MedianIntensity_GFPFKHR"] == 80
    assert row["Nuclei_Sensor_Ratio"] == pytest.approx(60 / 20)
    assert row["Nuclei_Sensor_LogRatio"] == pytest.approx(np.log2(3))
    assert not row["Nuclei_Flag_TouchesBorder"]
    assert not row["Nuclei_Flag_FieldBackground"]
    assert np.isnan(row["Nuclei_Confidence"])


def test_field_backgrounds_come_with_the_table() -> None:
    table = measure(*square_field())
    assert table.backgrounds == {"DNA": 10.0, "GFP-FKHR": 20.0}


@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "f4", "f8", ">u2"])
def test_the_image_s_dtype_changes_nothing(dtype: str) -> None:
    labels, image = random_field(3)
    settings = MeasureSettings(sensor_min_signal=0.0)  # the one rule that depends on it, tested below
    converted = measure(labels, image.astype(dtype), settings=settings)
    pd.testing.assert_frame_equal(converted.to_frame(), measure(labels, image, settings=settings).to_frame())


@pytest.mark.parametrize(
    ("dtype", "above", "known"), [("u1", 2, False), ("u1", 3, True), ("u2", 2, False), ("f4", 2, True)]
)
def test_a_nucleus_hardly_above_the_background_has_no_ratio(dtype: str, above: int, known: bool) -> None:
    labels, image = square_field()
    image[1, 27:37, 27:37] = 20 + above
    ratio = measure(labels, image.astype(dtype)).to_frame()["Nuclei_Sensor_Ratio"].iloc[0]
    assert ratio == pytest.approx(60 / above) if known else np.isnan(ratio)


def test_saturated_pixels_are_counted_in_integer_images() -> None:
    labels, image = square_field("u1")
    image[0, 30, 27:30] = 255
    image[1, 0, 0] = 255
    columns = measure(labels, image).columns
    assert columns["Nuclei_Flag_SaturatedPixels_DNA"].tolist() == [3]
    assert columns["Nuclei_Flag_SaturatedPixels_GFPFKHR"].tolist() == [0]
    assert measure(labels, image.astype("f4")).columns["Nuclei_Flag_SaturatedPixels_DNA"].tolist() == [0]


@pytest.mark.parametrize(
    ("place", "touches"),
    [((0, 5), True), ((63, 5), True), ((5, 0), True), ((5, 63), True), ((1, 1), False), ((62, 62), False)],
)
def test_only_nuclei_at_the_field_s_edge_touch_it(place: tuple[int, int], touches: bool) -> None:
    labels = np.zeros((64, 64), int)
    labels[place] = 1
    table = measure(labels, np.ones((2, 64, 64), np.uint8))
    assert table.columns["Nuclei_Flag_TouchesBorder"].tolist() == [touches]


def test_sensor_ratio_is_missing_without_a_ring_or_a_bright_nucleus() -> None:
    labels, image = square_field()
    few = measure(labels, image, settings=MeasureSettings(ring_min_px=400)).columns
    assert np.isnan(few["Nuclei_Sensor_Ratio"]).all()
    image[1, 27:37, 27:37] = 20
    dark = measure(labels, image).columns
    assert np.isnan(dark["Nuclei_Sensor_Ratio"]).all()
    image[1] = 20
    image[1, 27:37, 27:37] = 40
    empty = measure(labels, image).columns
    assert empty["Nuclei_Sensor_Ratio"].tolist() == [0.0]
    assert np.isnan(empty["Nuclei_Sensor_LogRatio"]).all()


def test_a_field_full_of_one_nucleus_has_no_ring_and_takes_the_field_s_background() -> None:
    image = np.full((2, 16, 16), 50, np.uint16)
    row = measure(np.ones((16, 16), np.uint8), image).to_frame().iloc[0]
    assert row["Cytoplasm_AreaShape_Area"] == 0
    assert np.isnan(row["Cytoplasm_Intensity_MeanIntensity_DNA"])
    assert row["Nuclei_Flag_FieldBackground"]
    assert row["Nuclei_Intensity_LocalBackground_DNA"] == 50
    assert row["Nuclei_DNA_Content"] == 0
    assert np.isnan(row["Nuclei_Sensor_Ratio"])


def test_dna_content_does_not_see_a_flat_background() -> None:
    rng = np.random.default_rng(0)
    contents = []
    for level in (20, 500):
        labels, image = square_field("f8")
        image[0] += rng.poisson(level, (64, 64)) - 10
        contents.append(measure(labels, image).columns["Nuclei_DNA_Content"][0])
    # Noise of 100 pixels of σ = √level, and of the local background under as many.
    assert contents[0] == pytest.approx(10_000, abs=4 * np.sqrt(20 * 100))
    assert contents[1] == pytest.approx(10_000, abs=4 * np.sqrt(500 * 100))


def test_area_in_um_and_confidence() -> None:
    labels, image = square_field()
    confidence = np.zeros((64, 64), np.float32)
    confidence[27:32] = 1
    columns = measure_nuclei(
        labels,
        image,
        channels=CHANNELS,
        dna="DNA",
        sensor=None,
        settings=MeasureSettings(),
        pixel_size_um=0.5,
        confidence=confidence,
    ).columns
    assert columns["Nuclei_AreaShape_AreaUm2"].tolist() == [25.0]
    assert columns["Nuclei_Confidence"].tolist() == [0.5]
    assert "Nuclei_Sensor_Ratio" not in columns


@pytest.mark.parametrize("sensor", ["GFP-FKHR", None])
@pytest.mark.parametrize("nuclei", [0, 1])
def test_the_table_is_as_its_dictionary_says(sensor: str | None, nuclei: int) -> None:
    labels, image = square_field()
    table = measure_nuclei(
        labels * nuclei, image, channels=CHANNELS, dna="DNA", sensor=sensor, settings=MeasureSettings()
    )
    dictionary = column_dictionary(CHANNELS, "DNA", sensor)
    assert [(c.name, c.dtype) for c in dictionary] == [(k, str(v.dtype)) for k, v in table.columns.items()]
    assert all(c.definition and c.source for c in dictionary)
    assert len({c.name for c in dictionary}) == len(dictionary)
    assert len(table) == nuclei
    assert table.to_frame().shape == (nuclei, len(dictionary))
    assert set(table.backgrounds) == set(CHANNELS)


def test_intensities_agree_with_cp_measure() -> None:
    labels, image = random_field(4)
    dense = np.searchsorted(np.unique(labels), labels)
    columns = measure(dense, image).columns
    theirs = get_intensity(dense, image[0].astype(float))
    for name in ("MeanIntensity", "MedianIntensity", "StdIntensity", "MinIntensity", "MaxIntensity"):
        ours = columns[f"Nuclei_Intensity_{name}_DNA"]
        np.testing.assert_allclose(ours, theirs[f"Intensity_{name}"], rtol=1e-6, err_msg=name)
    np.testing.assert_array_equal(
        columns["Nuclei_Intensity_IntegratedIntensity_DNA"], theirs["Intensity_IntegratedIntensity"]
    )


def test_label_values_change_only_the_object_numbers() -> None:
    labels, image = random_field(5)
    plain, scattered = (
        measure(labels, image).to_frame(),
        measure(labels * 1000 + (labels > 0), image).to_frame(),
    )
    number = "Metadata_ObjectNumber"
    assert (plain[number] * 1000 + 1).tolist() == scattered[number].tolist()
    pd.testing.assert_frame_equal(plain.drop(columns=number), scattered.drop(columns=number))


def test_the_memory_layout_changes_nothing() -> None:
    labels, image = random_field(6)
    pd.testing.assert_frame_equal(
        measure(np.asfortranarray(labels), np.moveaxis(np.moveaxis(image, 0, -1).copy(), -1, 0)).to_frame(),
        measure(labels, image).to_frame(),
    )


def test_a_nucleus_far_from_a_cut_measures_the_same_in_a_part_of_the_field() -> None:
    labels, image = square_field()
    image = np.random.default_rng(7).poisson(image).astype(np.uint16)
    whole, part = measure(labels, image).columns, measure(labels[4:60, 2:62], image[:, 4:60, 2:62]).columns
    assert part["Nuclei_AreaShape_Center_Y"] == whole["Nuclei_AreaShape_Center_Y"] - 4
    for name in (
        "Nuclei_DNA_Content",
        "Cytoplasm_Intensity_MeanIntensity_GFPFKHR",
        "Cytoplasm_AreaShape_Area",
    ):
        assert part[name] == whole[name]


def test_mismatched_shapes_are_refused() -> None:
    labels, image = square_field()
    with pytest.raises(ValueError, match=r"image of shape \(2, 64, 60\)"):
        measure(labels, image[:, :, :60])
    with pytest.raises(ValueError, match="2 channels"):
        measure(labels, image[:1])
    with pytest.raises(ValueError, match="confidence"):
        measure_nuclei(
            labels, image, channels=CHANNELS, dna="DNA", sensor=None, settings=MeasureSettings(),
            confidence=np.zeros((2, 2), np.float32),
        )  # fmt: skip
    with pytest.raises(ValueError, match="no pixel"):
        measure(labels[:0], image[:, :0])


def test_channel_names_that_give_no_columns_are_refused() -> None:
    assert channel_suffixes(("Ch 1", "Ch-2")) == {"Ch 1": "Ch1", "Ch-2": "Ch2"}
    with pytest.raises(ConfigError, match="'Ch 1' and 'Ch-1' both give"):
        channel_suffixes(("Ch 1", "Ch-1"))
    with pytest.raises(ConfigError, match="no letter or digit"):
        channel_suffixes(("--",))
    with pytest.raises(ConfigError, match="no channels"):
        channel_suffixes(())
    with pytest.raises(ConfigError, match="sensor channel 'YFP' is not measured; choose one of DNA"):
        column_dictionary(CHANNELS, "DNA", "YFP")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ring_width_px": 0}, "measure.ring_width_px = 0"),
        ({"ring_gap_px": -1}, "measure.ring_gap_px = -1"),
        ({"local_min_px": 0}, "measure.local_min_px = 0"),
        ({"local_width_px": 300}, "= 306"),
        ({"background_percentile": 101.0}, "between 0 and 100"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MeasureSettings(**options)  # type: ignore[arg-type]
