"""Whole cells: what each holds, where neighbours part, that parts of a field give the cells of the whole."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from hcs.errors import ConfigError
from hcs.measure import cells as growing
from hcs.measure.columns import column_dictionary
from hcs.measure.compartments import CellRequest
from hcs.measure.fill import Fill
from hcs.measure.measure import NucleusTable, Window, measure_nuclei
from hcs.measure.settings import CellSettings, MeasureSettings
from hcs.plate.keys import FieldKey
from hcs.simulate.field import SimulatedField, simulate_field
from hcs.simulate.plate import lay_out_plate
from hcs.simulate.settings import SimulationSettings

Labels = NDArray[np.uint32]
CHANNELS = ("DNA", "CDK2")


@pytest.fixture(scope="module")
def field() -> SimulatedField:
    planned = lay_out_plate(SimulationSettings(wells=6, size_px=512, seed=21))
    control = next(w for w, t in zip(planned.wells, planned.treatments, strict=True) if t.role == "negative")
    return simulate_field(planned, FieldKey(control, 0))


def grown(
    field: SimulatedField,
    *,
    window: tuple[slice, slice] = (slice(None), slice(None)),
    whole: NucleusTable | None = None,
    nobodys: int | None = None,
    labels: Labels | None = None,
    **settings: object,
) -> NucleusTable:
    """The nuclei of a field, or of a ``window`` of one whose ``whole`` table is known, with cells of these settings."""
    labels = field.labels if labels is None else labels
    known = None
    if whole is not None:
        origin = (window[0].start, window[1].start)
        known = Window(origin=origin, field=field.labels.shape, backgrounds=whole.backgrounds)
    return measure_nuclei(
        labels[window],
        field.image[(slice(None), *window)],
        channels=CHANNELS,
        dna="DNA",
        sensor="CDK2",
        settings=MeasureSettings(),
        pixel_size_um=0.65,
        window=known,
        cells=CellRequest(channel="CDK2", settings=CellSettings(**settings), nobodys=nobodys),  # type: ignore[arg-type]
    )


def cells_of(table: NucleusTable) -> Labels:
    assert table.cells is not None
    return table.cells


def mean_f1(truth: Labels, found: Labels) -> float:
    (of_truth, true), (of_found, other) = (np.unique(labels, return_inverse=True) for labels in (truth, found))
    n, m = len(of_truth) - 1, len(of_found) - 1
    shared = np.zeros((n + 1, m + 1))
    np.add.at(shared, (true.ravel(), other.ravel()), 1)
    union = shared.sum(1)[:, None] + shared.sum(0)[None] - shared
    iou = (shared / np.maximum(union, 1))[1:, 1:]
    return float(np.mean([2 * (iou > t).sum() / (n + m) for t in np.arange(0.5, 0.91, 0.05)]))


@pytest.mark.parametrize("method", ["propagation", "contours"])
def test_a_cell_holds_its_nucleus_and_no_other_and_is_one_piece(field: SimulatedField, method: str) -> None:
    window = (slice(0, 512), slice(0, 512)) if method == "propagation" else (slice(0, 200), slice(0, 200))
    labels = field.labels[window]
    cells = cells_of(
        measure_nuclei(
            labels,
            field.image[(slice(None), *window)],
            channels=CHANNELS,
            dna="DNA",
            sensor="CDK2",
            settings=MeasureSettings(),
            cells=CellRequest(channel="CDK2", settings=CellSettings(method=method)),  # type: ignore[arg-type]
        )
    )
    np.testing.assert_array_equal(cells[labels > 0], labels[labels > 0])
    assert set(np.unique(cells)) == set(np.unique(labels))
    for label in np.unique(labels)[1:]:
        before = cv2.connectedComponents((labels == label).view(np.uint8), connectivity=8)[0]
        assert cv2.connectedComponents((cells == label).view(np.uint8), connectivity=8)[0] <= before
    assert mean_f1(field.whole_cells[window], cells) > 0.8


def test_a_contour_does_not_stop_at_its_own_nucleus_where_the_cell_is_dim_on_one_side() -> None:
    y, x = np.mgrid[-32:33, -32:33]
    away = np.hypot(y, x)
    bright = np.abs(np.arctan2(y - x, y + x)) < 0.4 * np.pi  # two fifths of the way round
    cytoplasm = np.where(away < 20, np.where(bright, 1100, 550), 100)
    labels = (away < 6).astype(np.uint32)
    cells = cells_of(
        measure_nuclei(
            labels,
            np.stack([np.where(labels > 0, 500, 50), cytoplasm]).astype(np.uint16),
            channels=CHANNELS,
            dna="DNA",
            sensor="CDK2",
            settings=MeasureSettings(ring_width_um=None),
            cells=CellRequest(channel="CDK2", settings=CellSettings(method="contours")),
        )
    )
    assert (cells > 0)[away < 18].mean() > 0.97
    assert (cells > 0).sum() < 1.1 * (away < 20).sum()


def test_the_simulators_cells_are_found(field: SimulatedField) -> None:
    found = cells_of(grown(field))
    assert mean_f1(field.whole_cells, found) > 0.95
    assert mean_f1(field.whole_cells, field.labels) < 0.2


def test_cells_part_where_intensity_changes_and_otherwise_half_way() -> None:
    labels = np.zeros((40, 100), np.uint32)
    labels[15:25, 20:30], labels[15:25, 70:80] = 1, 2
    image = np.full((40, 100), 100, np.uint16)
    image[5:35, 5:95] = 600
    options = {"channels": ("A",), "dna": None, "sensor": None, "settings": MeasureSettings()}
    request = CellRequest(channel="A", settings=CellSettings(edge_px=30.0))

    def border(image: NDArray[np.uint16]) -> int:
        cells = cells_of(measure_nuclei(labels, image[None], cells=request, **options))  # type: ignore[arg-type]
        return int(np.count_nonzero(cells[20] == 1))

    assert border(image) == pytest.approx(45, abs=2)
    image[5:35, 40:95] = 900
    assert border(image) == pytest.approx(35, abs=2)


@pytest.mark.parametrize("method", ["propagation", "contours"])
def test_in_a_networks_territory_cells_end_at_background_and_part_at_the_boundary(method: str) -> None:
    labels = np.zeros((40, 100), np.uint32)
    labels[15:25, 20:30], labels[15:25, 70:80] = 1, 2
    territory = np.full((40, 100), -1.0, np.float32)
    territory[5:35, 5:95] = 0.0
    territory[5:35, 60:62] = 0.9  # not half-way
    territory[15:25, 70:73] = -1.0  # a nucleus is its cell's all the same
    image = np.random.default_rng(1).normal(300, 20, (1, 40, 100)).astype(np.uint16)  # which tells nothing
    settings = CellSettings(method=method, model="m", reach_um=None, reach_px=50, boundary=20.0)  # type: ignore[arg-type]
    request = CellRequest(channel="A", settings=settings, territory=territory)
    options = {"channels": ("A",), "dna": None, "sensor": None, "settings": MeasureSettings()}
    cells = cells_of(measure_nuclei(labels, image, cells=request, **options))  # type: ignore[arg-type]
    np.testing.assert_array_equal(cells[labels > 0], labels[labels > 0])
    assert not cells[(territory < 0) & (labels == 0)].any()
    assert np.count_nonzero(cells[20, :60] == 1) == pytest.approx(55, abs=2 if method == "propagation" else 6)
    assert not (cells[:, 62:] == 1).any()
    assert np.count_nonzero(cells[20, 62:] == 2) == pytest.approx(33, abs=2 if method == "propagation" else 6)


def test_a_part_of_a_field_gives_the_cells_of_the_whole(field: SimulatedField) -> None:
    whole = grown(field, reach_um=None, reach_px=30)
    # Cells of the inner part, nuclei that compete with them, and all of those nuclei's rings.
    y, x, inner = 120, 100, 170
    part = grown(field, window=(slice(y, 480), slice(x, 460)), whole=whole, reach_um=None, reach_px=30)
    np.testing.assert_array_equal(
        cells_of(part)[inner - y : 390 - y, inner - x : 380 - x], cells_of(whole)[inner:390, inner:380]
    )
    boxes = [f"Cells_AreaShape_BoundingBox{end}_{axis}" for end in ("Minimum", "Maximum") for axis in "XY"]
    x0, y0, x1, y1 = (whole.columns[name] for name in boxes)
    inside = whole.columns["Metadata_ObjectNumber"][(y0 > 180) & (x0 > 180) & (y1 < 380) & (x1 < 370)]
    assert len(inside) > 5
    for name, values in part.columns.items():
        rows = np.isin(part.columns["Metadata_ObjectNumber"], inside)
        expected = whole.columns[name][np.isin(whole.columns["Metadata_ObjectNumber"], inside)]
        np.testing.assert_array_equal(values[rows], expected, err_msg=name)


def test_tiles_do_not_show(field: SimulatedField, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = cells_of(grown(field, reach_um=None, reach_px=20))
    monkeypatch.setattr(growing, "_TILE_PX", 1)  # tiles of 60 px
    np.testing.assert_array_equal(whole, cells_of(grown(field, reach_um=None, reach_px=20)))


def test_what_is_no_nucleus_or_was_not_recorded_is_no_cell(field: SimulatedField) -> None:
    number = int(field.labels.max())
    closed = cells_of(grown(field, nobodys=number))
    np.testing.assert_array_equal(closed == number, field.labels == number)
    missing = np.zeros(field.labels.shape, np.bool_)
    missing[:, 250:280] = True
    labels = np.where(missing, 0, field.labels).astype(np.uint32)
    table = measure_nuclei(
        labels,
        field.image,
        channels=CHANNELS,
        dna="DNA",
        sensor="CDK2",
        settings=MeasureSettings(),
        fill=Fill(missing, 0.9),
        cells=CellRequest(channel="CDK2", settings=CellSettings()),
    )
    assert not cells_of(table)[missing].any()


def test_without_a_signal_a_nucleus_is_its_own_cell() -> None:
    labels = np.zeros((80, 80), np.uint32)
    labels[30:40, 30:40] = 7
    image = np.random.default_rng(0).normal(200, 15, (1, 80, 80)).astype(np.uint16)
    options = {"channels": ("A",), "dna": None, "sensor": "A", "settings": MeasureSettings()}
    request = CellRequest(channel="A", settings=CellSettings())
    table = measure_nuclei(labels, image, cells=request, **options)  # type: ignore[arg-type]
    np.testing.assert_array_equal(cells_of(table), labels)
    assert table.columns["Cytoplasm_AreaShape_Area"] == [0]
    assert np.isnan(table.columns["Cytoplasm_Intensity_MeanIntensity_A"]).all()
    assert np.isnan(table.columns["Nuclei_Sensor_RatioCytoplasm"]).all()


def test_columns_are_those_of_the_cells_pixels(field: SimulatedField) -> None:
    table = grown(field)
    cells, columns = cells_of(table), table.columns
    names = [column.name for column in column_dictionary(CHANNELS, "DNA", "CDK2", "CDK2")]
    assert list(columns) == names
    assert len(set(names)) == len(names)
    row = int(np.argmax(columns["Cytoplasm_AreaShape_Area"]))
    label = columns["Metadata_ObjectNumber"][row]
    cell = cells == label
    cytoplasm = cell & (field.labels == 0)
    sensor = field.image[1].astype(np.float64)
    assert columns["Cells_AreaShape_Area"][row] == cell.sum()
    assert columns["Cytoplasm_AreaShape_Area"][row] == cytoplasm.sum()
    assert columns["Cells_AreaShape_AreaUm2"][row] == pytest.approx(cell.sum() * 0.65**2)
    assert columns["Cells_Intensity_IntegratedIntensity_CDK2"][row] == pytest.approx(sensor[cell].sum())
    assert columns["Cytoplasm_Intensity_MedianIntensity_CDK2"][row] == pytest.approx(np.median(sensor[cytoplasm]))
    level = table.backgrounds["CDK2"]
    ratio = (sensor[cytoplasm].mean() - level) / (sensor[field.labels == label].mean() - level)
    assert columns["Nuclei_Sensor_RatioCytoplasm"][row] == pytest.approx(ratio, rel=1e-5)
    assert columns["Nuclei_Sensor_RatioCytoplasmMixture"][row] >= columns["Nuclei_Sensor_RatioCytoplasm"][row]
    without = measure_nuclei(
        field.labels,
        field.image,
        channels=CHANNELS,
        dna="DNA",
        sensor="CDK2",
        settings=MeasureSettings(),
        pixel_size_um=0.65,
    )
    assert without.cells is None
    for name, values in without.columns.items():
        np.testing.assert_array_equal(columns[name.replace("Cytoplasm_", "Ring_")], values)


def test_a_field_without_nuclei_has_no_cells() -> None:
    options = {"channels": ("A",), "dna": None, "sensor": "A", "settings": MeasureSettings()}
    request = CellRequest(channel="A", settings=CellSettings())
    table = measure_nuclei(np.zeros((50, 60), np.uint32), np.full((1, 50, 60), 7, np.uint16), cells=request, **options)  # type: ignore[arg-type]
    assert len(table) == 0
    assert not cells_of(table).any()


@pytest.mark.parametrize(
    ("key", "value"),
    [("reach_um", 0.0), ("reach_px", 0), ("threshold", 1.0), ("edge_px", -1.0), ("least_signal", -1.0)],
)
def test_impossible_settings_are_named(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"cells.{key}"):
        replace(CellSettings(), **{key: value})
