"""Reading plates: what hcs wrote, changed in every way that other writers and accidents change it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from hcs.errors import ConfigError, FieldError, PlateError
from hcs.plate.keys import FieldKey, WellId
from hcs.store.plate.field import open_image, read_pixels
from hcs.store.plate.reader import find_channel, locate, open_plate, read_field, read_info

A01 = FieldKey(WellId(0, 0), 0)
B03 = FieldKey(WellId(1, 2), 0)


def edit(group: str | Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the OME metadata of a group in place."""
    folder = Path(group)
    v3 = (folder / "zarr.json").exists()
    file = folder / ("zarr.json" if v3 else ".zattrs")
    document = json.loads(file.read_text())
    change(document["attributes"]["ome"] if v3 else document)
    file.write_text(json.dumps(document))


def write_axes(folder: Path, axes: str, data: np.ndarray, *, unit: str | None = "micrometer", **array: Any) -> None:
    """A one-level NGFF 0.5 image of any axes."""
    group = zarr.open_group(folder, mode="w", zarr_format=3)
    group.create_array("0", data=data, **array)
    kinds = {"t": "time", "c": "channel"}
    described = [{"name": a, "type": kinds.get(a, "space")} for a in axes]
    for axis in described:
        if unit and axis["name"] in "yx":
            axis["unit"] = unit
    scale = [{"type": "scale", "scale": [0.5 if a in "yx" else 1.0 for a in axes]}]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": described, "datasets": datasets}]}


def pixels(folder: Path, *, channels: tuple[int, ...] = (0,), z: str = "refuse") -> np.ndarray:
    info, array = open_image(folder, "", "X")
    return read_pixels(array, info, folder, "X", channels=channels, z=z)


def test_a_plate_is_what_was_written(small_plate: Any, ngff: str) -> None:
    plate = open_plate(small_plate.path)
    assert (plate.name, plate.ngff) == ("small", ngff)
    assert plate.wells == (WellId(0, 0), WellId(1, 2))
    assert [str(entry.key) for entry in plate.fields] == ["A01/0", "A01/1", "B03/0", "B03/1"]
    assert [entry.path for entry in plate.fields] == ["A/01/0", "A/01/1", "B/03/0", "B/03/1"]
    assert plate.absent_wells == ()
    for key in small_plate.keys:
        info = read_info(plate, key)
        assert info.shape == (2, 65, 80)
        assert (info.dtype, info.axes, info.channels) == (np.uint16, "cyx", ("DNA", "GFP"))
        assert info.pixel_size_um == pytest.approx(0.65)
        assert info.level_path == f"{locate(small_plate.path, key).path}/0"
        image = small_plate.image(key)
        np.testing.assert_array_equal(read_field(plate, key, channels=(0, 1)), image)
        np.testing.assert_array_equal(read_field(plate, key, channels=(1, 0)), image[[1, 0]])
        np.testing.assert_array_equal(read_field(plate, key, channels=(1,)), image[[1]])


def test_plates_without_version_counts_rows_or_names_are_read(small_plate: Any, ngff: str) -> None:
    def strip(ome: dict[str, Any]) -> None:
        ome.pop("version", None)
        ome["plate"] = {"wells": [{"path": "B/03"}, {"path": "A/01"}]}

    edit(small_plate.path, strip)
    plate = open_plate(small_plate.path)
    assert plate.name == f"plate-{ngff}"
    assert len(plate.fields) == 4


def test_rows_and_columns_in_any_order_and_unpadded(small_plate: Any) -> None:
    def shuffle(ome: dict[str, Any]) -> None:
        ome["plate"]["rows"] = [{"name": "B"}, {"name": "A"}]
        ome["plate"]["columns"] = [{"name": 3}, {"name": "1"}]
        ome["plate"]["wells"] = [
            {"path": "B/03", "rowIndex": 0, "columnIndex": 0},
            {"path": "A/01", "rowIndex": 1, "columnIndex": 1},
        ]

    edit(small_plate.path, shuffle)
    plate = open_plate(small_plate.path)
    assert [str(well) for well in plate.wells] == ["A01", "B03"]
    np.testing.assert_array_equal(read_field(plate, B03, channels=(0, 1)), small_plate.image(B03))


def test_declared_wells_without_a_group_are_absent_not_an_error(small_plate: Any) -> None:
    shutil.rmtree(Path(small_plate.path) / "A")
    plate = open_plate(small_plate.path)
    assert plate.absent_wells == (WellId(0, 0),)
    assert plate.wells == (WellId(1, 2),)
    with pytest.raises(FieldError, match="the plate lists well A01 but has no folder A/01: it was not converted"):
        read_field(plate, A01, channels=(0,))


def test_a_well_without_images_has_no_fields(small_plate: Any) -> None:
    edit(Path(small_plate.path) / "A" / "01", lambda ome: ome["well"].update(images=[]))
    plate = open_plate(small_plate.path)
    assert plate.wells == (WellId(0, 0), WellId(1, 2))
    assert {entry.key.well for entry in plate.fields} == {WellId(1, 2)}


def test_a_well_without_metadata_has_the_images_below_it(small_plate: Any) -> None:
    edit(Path(small_plate.path) / "A" / "01", lambda ome: ome.pop("well"))
    assert [str(entry.key) for entry in open_plate(small_plate.path).fields[:2]] == ["A01/0", "A01/1"]


def test_a_broken_well_fails_alone(small_plate: Any) -> None:
    edit(Path(small_plate.path) / "A" / "01", lambda ome: ome["well"].update(images=[{"acquisition": 0}]))
    plate = open_plate(small_plate.path)
    assert [str(entry.key) for entry in plate.fields] == ["A01/0", "B03/0", "B03/1"]
    with pytest.raises(FieldError, match=r"A01/0: its well's metadata is broken \(images.0.path: field required\)"):
        read_info(plate, A01)
    assert read_info(plate, B03).shape == (2, 65, 80)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda ome: ome.pop("plate"), "has no plate metadata"),
        (lambda ome: ome["plate"].pop("wells"), r"broken \(wells: field required\)"),
        (lambda ome: ome["plate"].update(wells=[]), "lists no wells"),
        (lambda ome: ome["plate"]["wells"][0].pop("path"), r"broken \(wells.0.path: field required\)"),
        (lambda ome: ome["plate"]["wells"].append(ome["plate"]["wells"][0]), "well A01 is listed twice"),
        (
            lambda ome: ome["plate"]["wells"][0].update(path="B/03"),
            "well B03 is listed twice, both times with path B/03",
        ),
        (lambda ome: ome["plate"]["wells"][0].update(path="B/3"), "well B03 is listed twice, as B/3 and B/03"),
        (lambda ome: ome["plate"].update(rows=[{"name": "A"}, {"name": "A"}]), "two rows are called A"),
        (lambda ome: ome["plate"].update(columns=[{"name": 3}, {"name": "3"}]), "two columns are called 3"),
        (
            lambda ome: ome["plate"].update(wells=[{"path": "x/y"}]),
            "'xy' is not a well name and well x/y has no rowIndex",
        ),
        (lambda ome: (ome.update(version="0.6"), ome["plate"].update(version="0.6")), "is NGFF 0.6"),
        (lambda ome: ome.update(plate=[]), "broken"),
    ],
)
def test_broken_plate_metadata_gets_a_sentence(
    small_plate: Any, change: Callable[[dict[str, Any]], None], sentence: str
) -> None:
    edit(small_plate.path, change)
    with pytest.raises(PlateError, match=sentence):
        open_plate(small_plate.path)


def test_what_is_no_plate_gets_a_sentence(tmp_path: Path, small_plate: Any) -> None:
    with pytest.raises(PlateError, match="no such plate"):
        open_plate(str(tmp_path / "none.zarr"))
    (tmp_path / "folder").mkdir()
    with pytest.raises(PlateError, match="is not OME-Zarr"):
        open_plate(str(tmp_path / "folder"))
    with pytest.raises(PlateError, match=r"it is a single image.*`hcs segment`"):
        open_plate(str(Path(small_plate.path) / "A" / "01" / "0"))
    (tmp_path / "folder" / "zarr.json").write_text("{")
    with pytest.raises(PlateError, match="not valid JSON"):
        open_plate(str(tmp_path / "folder"))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda ome: ome.pop("multiscales"), "multiscales: field required"),
        (lambda ome: ome.update(multiscales=[]), "multiscales"),
        (lambda ome: ome["multiscales"][0].update(datasets=[]), "datasets"),
        (lambda ome: ome["multiscales"][0]["datasets"][0].update(path="7"), "array A/01/0/7 is missing"),
        (lambda ome: ome["multiscales"][0]["axes"].pop(0), "axes are 'yx' but the array has shape"),
        (lambda ome: ome["multiscales"][0]["axes"][0].update(name="angle", type=None), "axes are '.angle.yx'"),
    ],
)
def test_broken_image_metadata_fails_that_field(
    small_plate: Any, change: Callable[[dict[str, Any]], None], sentence: str
) -> None:
    edit(Path(small_plate.path) / "A" / "01" / "0", change)
    plate = open_plate(small_plate.path)
    with pytest.raises(FieldError, match=rf"^field A01/0: .*{sentence}"):
        read_info(plate, A01)
    assert read_info(plate, B03).shape == (2, 65, 80)


def test_a_missing_field_group_fails_that_field(small_plate: Any) -> None:
    shutil.rmtree(Path(small_plate.path) / "A" / "01" / "0")
    with pytest.raises(FieldError, match=r"field A01/0: its group .* is missing"):
        read_field(open_plate(small_plate.path), A01, channels=(0,))


def chunks_of(array: Path) -> list[Path]:
    return [file for file in array.rglob("*") if file.is_file() and not file.name.startswith((".z", "zarr"))]


def test_a_level_without_any_chunk_is_an_error_not_a_black_image(small_plate: Any) -> None:
    for chunk in chunks_of(Path(small_plate.path) / "A" / "01" / "0" / "0"):
        chunk.unlink()
    with pytest.raises(FieldError, match=r"array A/01/0/0 holds no data.*write_empty_chunks=True"):
        read_field(open_plate(small_plate.path), A01, channels=(1,))


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b[:-1], lambda b: bytes(len(b)), lambda b: b""]
)
def test_a_damaged_chunk_fails_that_field(small_plate: Any, damage: Callable[[bytes], bytes]) -> None:
    for chunk in chunks_of(Path(small_plate.path) / "A" / "01" / "0" / "0"):
        chunk.write_bytes(damage(chunk.read_bytes()))
    plate = open_plate(small_plate.path)
    with pytest.raises(FieldError, match=r"^field A01/0: array A/01/0/0 cannot be decoded .*a chunk is damaged"):
        read_field(plate, A01, channels=(0,))
    assert read_field(plate, B03, channels=(0,)).shape == (1, 65, 80)


def test_damage_to_one_channel_leaves_the_other_readable(small_plate: Any) -> None:
    level = Path(small_plate.path) / "A" / "01" / "0" / "0"
    first = min(chunks_of(level))
    first.write_bytes(b"damaged")
    plate = open_plate(small_plate.path)
    np.testing.assert_array_equal(read_field(plate, A01, channels=(1,)), small_plate.image(A01)[[1]])


@pytest.mark.parametrize("axes", ["yx", "cyx", "zyx", "tyx", "czyx", "tcyx", "tzyx", "tczyx"])
def test_every_subset_of_the_axes_reads_as_cyx(tmp_path: Path, axes: str) -> None:
    shape = tuple({"c": 3, "y": 6, "x": 5}.get(a, 1) for a in axes)
    data = np.arange(1, np.prod(shape) + 1, dtype=np.int32).reshape(shape)
    write_axes(tmp_path / "i.zarr", axes, data)
    n = 3 if "c" in axes else 1
    np.testing.assert_array_equal(pixels(tmp_path / "i.zarr", channels=tuple(range(n))), data.reshape(n, 6, 5))
    info = open_image(tmp_path / "i.zarr", "", "X")[0]
    assert info.channels == tuple(map(str, range(n)))
    assert info.pixel_size_um == 0.5


def test_distant_channels_are_read_in_the_order_asked_for(tmp_path: Path) -> None:
    data = np.arange(1, 121, dtype=np.uint8).reshape(4, 6, 5)
    write_axes(tmp_path / "i.zarr", "cyx", data)
    np.testing.assert_array_equal(pixels(tmp_path / "i.zarr", channels=(3, 0)), data[[3, 0]])
    with pytest.raises(FieldError, match="it has channels 0 to 3"):
        pixels(tmp_path / "i.zarr", channels=(4,))


def test_z_is_projected_only_when_asked_and_t_never(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(1, 99, (2, 3, 6, 5), dtype=np.uint16)
    write_axes(tmp_path / "z.zarr", "czyx", data)
    with pytest.raises(FieldError, match=r"3 z planes; set `z: max`"):
        pixels(tmp_path / "z.zarr")
    np.testing.assert_array_equal(pixels(tmp_path / "z.zarr", channels=(0, 1), z="max"), data.max(axis=1))
    write_axes(tmp_path / "t.zarr", "tcyx", data)
    with pytest.raises(FieldError, match="2 time points"):
        pixels(tmp_path / "t.zarr", z="max")


@pytest.mark.parametrize("fill", [0, 7])
def test_fill_value_of_any_kind_counts_as_no_data(tmp_path: Path, fill: int) -> None:
    data = np.full((6, 5), fill, np.uint16)
    write_axes(tmp_path / "i.zarr", "yx", data, fill_value=fill)
    with pytest.raises(FieldError, match="holds no data"):
        pixels(tmp_path / "i.zarr")
    write_axes(tmp_path / "j.zarr", "yx", data, fill_value=fill, config={"write_empty_chunks": True})
    np.testing.assert_array_equal(pixels(tmp_path / "j.zarr")[0], data)


def test_sharded_and_big_endian_arrays_read(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(1, 4000, (2, 64, 48), dtype=np.uint16)
    write_axes(tmp_path / "s.zarr", "cyx", data, chunks=(1, 16, 16), shards=(1, 64, 48))
    info = open_image(tmp_path / "s.zarr", "", "X")[0]
    assert (info.chunks, info.shards) == ((1, 16, 16), (1, 64, 48))
    np.testing.assert_array_equal(pixels(tmp_path / "s.zarr", channels=(0, 1)), data)
    write_axes(tmp_path / "b.zarr", "cyx", data.astype(">u2"))
    read = pixels(tmp_path / "b.zarr", channels=(0, 1))
    assert read.dtype == np.dtype(np.uint16)
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, data)


@pytest.mark.parametrize(
    ("unit", "size_um"),
    [("micrometer", 0.5), ("nanometer", 0.0005), ("millimeter", 500.0), (None, None), ("furlong", None)],
)
def test_pixel_size_is_in_um_or_unknown(tmp_path: Path, unit: str | None, size_um: float | None) -> None:
    write_axes(tmp_path / "i.zarr", "yx", np.ones((4, 4), np.uint8), unit=unit)
    found = open_image(tmp_path / "i.zarr", "", "X")[0].pixel_size_um
    assert found == (None if size_um is None else pytest.approx(size_um))


def test_pixel_size_includes_the_common_scale_and_needs_square_pixels(tmp_path: Path) -> None:
    write_axes(tmp_path / "i.zarr", "yx", np.ones((4, 4), np.uint8))
    common = {"coordinateTransformations": [{"type": "scale", "scale": [2.0, 2.0]}]}
    edit(tmp_path / "i.zarr", lambda ome: ome["multiscales"][0].update(common))
    assert open_image(tmp_path / "i.zarr", "", "X")[0].pixel_size_um == 1.0
    common["coordinateTransformations"][0]["scale"] = [2.0, 1.0]
    edit(tmp_path / "i.zarr", lambda ome: ome["multiscales"][0].update(common))
    assert open_image(tmp_path / "i.zarr", "", "X")[0].pixel_size_um is None


@pytest.mark.parametrize(
    ("omero", "names"),
    [
        ({"channels": [{"label": "DAPI"}, {}]}, ("DAPI", "1")),
        ({"channels": [{"label": 5}, {"label": ""}, {"label": "third"}]}, ("5", "1")),
        ({}, ("0", "1")),
    ],
)
def test_channels_without_names_have_their_index(small_plate: Any, omero: Any, names: tuple[str, ...]) -> None:
    edit(Path(small_plate.path) / "A" / "01" / "0", lambda ome: ome.update(omero=omero))
    assert read_info(open_plate(small_plate.path), A01).channels == names


def test_find_channel_by_name_or_index() -> None:
    channels = ("DNA", "GFP", "GFP", "0")
    assert find_channel(channels, "DNA", option="--dna") == 0
    assert find_channel(channels, 2, option="--dna") == find_channel(channels, "2", option="--dna") == 2
    assert find_channel(channels, "0", option="--dna") == 3
    with pytest.raises(ConfigError, match=r"--dna 'GFP' is the name of 2 channels; give an index: 0 \(DNA\), 1"):
        find_channel(channels, "GFP", option="--dna")
    for wanted in ("dapi", 4, "-1", -1):
        with pytest.raises(ConfigError, match=r"--sensor .* is no channel of this plate; it has 0 \(DNA\), 1 \(GFP\)"):
            find_channel(channels, wanted, option="--sensor")


def test_locate_reads_one_well_only(small_plate: Any) -> None:
    shutil.rmtree(Path(small_plate.path) / "A")
    assert locate(small_plate.path, B03).path == "B/03/0"
    for key in (FieldKey(WellId(1, 2), 5), FieldKey(WellId(7, 7), 0)):
        with pytest.raises(FieldError, match="lists no such field"):
            locate(small_plate.path, key)
    with pytest.raises(FieldError, match="has no folder A/01"):
        locate(small_plate.path, A01)
