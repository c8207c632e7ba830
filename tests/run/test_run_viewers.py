"""What hcs writes beside labels opens in the readers that viewers use, and what others wrote there stays."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import ome_zarr_models
import pandas as pd
import pyarrow as pa
import pytest
import yaozarrs
import zarr
from helpers.run import Finished

from hcs.commands.view import Session, Shown
from hcs.config import Config
from hcs.errors import ConfigError
from hcs.plate.keys import FieldKey
from hcs.run.pictures import one_thread
from hcs.run.viewer_fields import NEITHER, PHASE_COLOURS, description
from hcs.run.viewers import ViewersAhead, told_of
from hcs.store.plate.describe import describe_nuclei
from hcs.store.plate.labels import write_labels
from hcs.store.plate.mark import Mark, origin_of
from hcs.store.plate.reader import open_plate
from hcs.store.plate.tables import ViewerTable, write_viewer_table
from hcs.store.results.folder import Results, open_results


@pytest.fixture
def results(finished: Finished, tmp_path: Path) -> Results:
    """A copy of the finished run and its plate."""
    shutil.copytree(finished.files.plate, tmp_path / "tiny.zarr")
    shutil.copytree(finished.out, tmp_path / "results")
    return open_results(tmp_path / "results", plate=tmp_path / "tiny.zarr")


def write_for_viewers(results: Results) -> tuple[str, ...]:
    with one_thread() as aside:
        return ViewersAhead(results, aside).notes()


def field_of(results: Results, well: str = "A01") -> Path:
    return Path(results.plate_path) / well[0] / well[1:] / "0"


def test_ngio_reads_regions_features_and_channels(results: Results) -> None:
    nuclei = results.nuclei(wells=["A01"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ngio

        field = ngio.open_ome_zarr_plate(results.plate_path).get_image("A", "01", "0")
        assert field.list_labels() == ["truth", "truth_cells", "nuclei"]
        assert set(field.list_tables()) == {"FOV_ROI_table", "nuclei", "nuclei_ROI_table"}
        table = field.get_table("nuclei")
        frame = table.dataframe
        region = field.get_table("FOV_ROI_table").rois()[0]
        masked = field.get_masked_image("nuclei", masking_table_name="nuclei_ROI_table")
        number = int(nuclei["Metadata_ObjectNumber"].iloc[0])
        box = np.asarray(masked.get_roi(number))
        channels = field.get_image().channel_labels
    assert table.reference_label == "nuclei"
    assert list(frame.index) == list(nuclei["Metadata_ObjectNumber"])
    np.testing.assert_array_equal(frame["Nuclei_AreaShape_Area"], nuclei["Nuclei_AreaShape_Area"])
    assert {"Phase", "Gate", "CDK2_State", "Nuclei_DNA_ContentN", "Nuclei_Flag_Dead"} <= set(frame.columns)
    assert region.get("x").length == pytest.approx(256 * 0.65)
    first = nuclei.iloc[0]
    corners = [first[f"Nuclei_AreaShape_BoundingBox{end}_{axis}"] for axis in "YX" for end in ("Maximum", "Minimum")]
    assert box.shape[-2:] == (corners[0] - corners[1], corners[2] - corners[3])
    assert list(channels) == ["DNA", "CDK2"]


def test_both_validators_accept_colours_and_properties(results: Results) -> None:
    yaozarrs.validate_zarr_store(results.plate_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        group = zarr.open_group(field_of(results) / "labels" / "nuclei", mode="r")
        attributes: Any = ome_zarr_models.open_ome_zarr(group).ome_attributes
        about = attributes.image_label
    numbers = results.nuclei(wells=["A01"])["Metadata_ObjectNumber"]
    assert [each.label_value for each in about.properties] == sorted(numbers)


def test_napari_shows_names_colours_and_properties(results: Results) -> None:
    """As napari-ome-zarr does: its reader is ome-zarr's, whose nodes it hands to napari."""
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Label, Reader

    location = parse_url(str(field_of(results)))
    assert location is not None
    image, *labels = list(Reader(location)())
    assert image.metadata["channel_names"] == ["DNA", "CDK2"]
    assert all(low < high for low, high in image.metadata["contrast_limits"])
    (nuclei,) = (node for node in labels if node.load(Label) and node.metadata["name"] == "nuclei")
    numbers = set(results.nuclei(wells=["A01"])["Metadata_ObjectNumber"])
    properties = nuclei.metadata["properties"]
    assert set(properties) == numbers
    assert {"phase", "sensor", "flags", "area_px", "sensor_ratio"} <= set(properties[min(numbers)])
    assert not nuclei.metadata["color"] or set(nuclei.metadata["color"]) == numbers
    both = {about["flags"] for about in properties.values()}
    assert any("border" in flags for flags in both)


def test_what_others_wrote_stays(results: Results) -> None:
    field = field_of(results)
    theirs = field / "tables" / "nuclei"
    attributes = json.loads((theirs / "zarr.json").read_text())
    del attributes["attributes"]["hcs"]
    (theirs / "zarr.json").write_text(json.dumps(attributes))
    (theirs / "table.parquet").write_bytes(b"by Anna")
    field = field_of(results, "B02")
    labels = field / "labels" / "nuclei" / "zarr.json"
    document = json.loads(labels.read_text())
    document["attributes"]["ome"]["image-label"]["properties"] = [{"label-value": 1, "class": "by Anna"}]
    labels.write_text(json.dumps(document))
    field = field_of(results, "A02")
    (field / "tables" / "mine").mkdir()
    listing = json.loads((field / "tables" / "zarr.json").read_text())
    listing["attributes"] |= {"tables": ["mine", *listing["attributes"]["tables"]], "remark": "by Anna"}
    (field / "tables" / "zarr.json").write_text(json.dumps(listing))
    before = {p: p.read_bytes() for p in Path(results.plate_path).rglob("*") if p.is_file()}

    changed, foreign = write_for_viewers(results)
    assert changed.startswith("Labels of 1 fields were changed")
    assert foreign.startswith("1 tables or colours")
    assert {p: p.read_bytes() for p in Path(results.plate_path).rglob("*") if p.is_file()} == before


def test_nothing_is_written_through_a_link_that_leaves_the_plate(results: Results, tmp_path: Path) -> None:
    tables = field_of(results) / "tables"
    shutil.rmtree(tables)
    (tmp_path / "elsewhere").mkdir()
    tables.symlink_to(tmp_path / "elsewhere")
    assert write_for_viewers(results)[0].startswith("1 tables or colours")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_setting_leaves_them_out(results: Results) -> None:
    for tables in Path(results.plate_path).glob("*/*/*/tables"):
        shutil.rmtree(tables)
    config = results.record.identity["config"] | {"viewer_tables": False}
    record = replace(results.record, identity=dict(results.record.identity) | {"config": config})
    assert write_for_viewers(replace(results, record=record)) == ()
    assert not list(Path(results.plate_path).glob("*/*/*/tables"))
    assert Config().viewer_tables


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
def test_tables_are_what_ngio_would_write(ngff: Any, tmp_path: Path) -> None:
    data = pd.DataFrame({"label": [1, 4], "area": [0.5, 2.0]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ngio

        for name in ("theirs", "ours"):
            image = ngio.create_ome_zarr_from_array(
                tmp_path / name, np.zeros((1, 64, 64), np.uint16), pixelsize=0.5, levels=1, ngff_version=ngff
            )
            if name == "theirs":
                image.add_table("t", ngio.tables.FeatureTable(data, reference_label="n"), backend="parquet")
        table = ViewerTable(name="t", kind="feature_table", data=pa.Table.from_pandas(data), labels="n")
        assert write_viewer_table(tmp_path / "ours", table, run="r", ngff=ngff) == "written"
        assert write_viewer_table(tmp_path / "ours", table, run="r", ngff=ngff) == "same"
        ours, theirs = (ngio.open_ome_zarr_container(tmp_path / name).get_table("t") for name in ("ours", "theirs"))
        pd.testing.assert_frame_equal(ours.dataframe, theirs.dataframe)
        assert ours.reference_label == theirs.reference_label == "n"
    file = "zarr.json" if ngff == "0.5" else ".zattrs"
    for listing in ("tables", "tables/t"):
        known, own = (json.loads((tmp_path / name / listing / file).read_text()) for name in ("theirs", "ours"))
        known, own = (d["attributes"] if ngff == "0.5" else d for d in (known, own))
        assert {name: known[name] for name in own if name != "hcs"} == {n: v for n, v in own.items() if n != "hcs"}


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
def test_colours_are_the_labels_own_and_no_change_of_them(ngff: Any, small_plate_of: Any) -> None:
    plate = small_plate_of(ngff)
    key = open_plate(plate).fields[0].key
    path = open_plate(plate).fields[0].path
    write_labels(
        plate, key, np.eye(65, 80, dtype=np.uint32), ngff=ngff, pixel_size_um=None, mark=Mark(run="r"), path=path
    )
    folder = Path(plate) / path / "labels" / "nuclei"
    about = [{"label-value": 1, "phase": "G1"}]
    assert describe_nuclei(folder, {1: PHASE_COLOURS["G1"]}, about) == "written"
    assert origin_of(folder, "r")[0] == "this run"
    assert describe_nuclei(folder, {1: PHASE_COLOURS["G1"]}, about) == "same"
    assert describe_nuclei(folder, {}, []) == "written"
    file = folder / ("zarr.json" if ngff == "0.5" else ".zattrs")
    file.write_text(file.read_text().replace('"source"', '"colors": [], "source"'))
    assert origin_of(folder, "r")[0] == "changed"
    assert describe_nuclei(folder, {1: NEITHER}, about) == "foreign"


@pytest.fixture
def small_plate_of(tmp_path: Path) -> Any:
    from hcs.plate.keys import WellId
    from hcs.store.plate.writer import PlateSpec, create_plate, write_field

    def make(ngff: Any) -> str:
        path = str(tmp_path / f"p{ngff}.zarr")
        spec = PlateSpec(name="p", wells=(WellId(1, 2),), fields_per_well=1, channels=("DNA",), ngff=ngff)
        create_plate(path, spec)
        write_field(path, spec, FieldKey(WellId(1, 2), 0), np.ones((1, 65, 80), np.uint16))
        return path

    return make


def test_a_nucleus_has_the_colour_of_its_phase() -> None:
    columns = {
        "label": [3, 5, 9],
        "Phase": ["S", None, None],
        "CDK2_State": ["high", "low", None],
        "Gate": ["single", "doublet", "border"],
        "Nuclei_Flag_Dead": [False, True, None],
        "Nuclei_Flag_TouchesBorder": [False, False, True],
        "Nuclei_AreaShape_Area": [100, 200, 300],
        "Nuclei_Sensor_Ratio": [1.25, float("nan"), None],
    }
    colours, properties = description(pa.table(columns))
    assert colours[3] == PHASE_COLOURS["S"]
    assert colours[9] == NEITHER
    assert colours[5] not in (*PHASE_COLOURS.values(), NEITHER) or colours[5] == PHASE_COLOURS["G1"]
    assert properties[0] == {
        "label-value": 3, "phase": "S", "sensor": "high", "flags": "", "area_px": 100.0, "sensor_ratio": 1.25,
    }  # fmt: skip
    assert [about["flags"] for about in properties] == ["", "dead;doublet", "border"]
    assert "sensor_ratio" not in properties[1]
    nothing = pa.table({name: columns[name] for name in ("label", "Nuclei_Flag_TouchesBorder")})
    assert description(nothing)[0] == {}


def test_view_shows_channels_and_nuclei_with_their_table(results: Results) -> None:
    shown = Shown(results, FieldKey.parse("A01/0"))
    *images, (labels, options, kind) = shown.layers()
    assert [image[1]["name"] for image in images] == ["DNA", "CDK2"]
    assert all(image[1]["scale"] == (0.65, 0.65) for image in images)
    assert images[0][1]["colormap"][1].tolist() == [0.0, 0.0, 1.0, 1.0]  # the plate's blue
    np.testing.assert_array_equal(images[1][0], results.image("A01", 0, "CDK2"))
    assert kind == "labels"
    assert set(options["features"]["index"]) == set(np.unique(labels)) - {0}
    edited = labels.copy()
    edited[:9, :9] = 800
    shown.save(edited)
    *_, (again, _, _) = shown.layers()
    np.testing.assert_array_equal(again, edited)
    with pytest.raises(Exception, match="changed since hcs wrote them"):
        results.labels("A01")


class Layers(dict[str, Any]):
    """Layers by name, as far as napari's list is used."""


class Viewer:
    """What of a napari viewer a session uses."""

    def __init__(self) -> None:
        self.layers, self.title, self.status = Layers(), "", ""

    def add_layer(self, layer: Any) -> None:
        self.layers[layer.name] = layer

    def reset_view(self) -> None:
        pass


def test_a_session_drops_no_edit_without_a_word(results: Results) -> None:
    said: list[str] = []
    viewer = Viewer()

    def layer(data: Any, options: dict[str, Any], _: str) -> Any:
        return SimpleNamespace(data=data, name=options["name"])

    session = Session(results, viewer, layer=layer, say=said.append)
    session.go("A01", 0)
    assert list(viewer.layers) == ["DNA", "CDK2", "nuclei"]
    assert (viewer.title, session.unsaved) == ("tiny A01/0 — hcs", "")
    viewer.layers["nuclei"].data[:5, :5] = 900
    session.go("B02", 0)
    assert (session.unsaved, viewer.title) == ("A01/0", "tiny A01/0 — hcs")
    assert "were edited and not saved" in said[-1]
    session.discard()
    assert not (viewer.layers["nuclei"].data == 900).any()
    viewer.layers["nuclei"].data[:5, :5] = 901
    session.save()
    assert "hcs remeasure" in viewer.status
    session.go("B02", 0)
    assert viewer.title == "tiny B02/0 — hcs"
    session.go("Z99", 0)
    assert "Z99" in said[-1]
    session.go("A01", 0)
    assert (viewer.layers["nuclei"].data[:5, :5] == 901).all()


def test_view_says_how_napari_is_installed(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from hcs.commands.view import view

    monkeypatch.setitem(sys.modules, "napari", None)
    with pytest.raises(ConfigError, match=r"napari is not installed .*pip install 'napari\[pyqt6\]'"):
        view(results, None, 0, say=lambda _: None)


def test_workers_write_them_without_pandas(results: Results, tmp_path: Path) -> None:
    (tmp_path / "fields.py").write_text(_WITHOUT_PANDAS)
    for tables in Path(results.plate_path).glob("*/*/*/tables"):
        shutil.rmtree(tables)
    command = [sys.executable, str(tmp_path / "fields.py"), str(results.folder), results.plate_path]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False"]
    assert len(list(Path(results.plate_path).glob("*/*/*/tables"))) == len(results.keys())


_WITHOUT_PANDAS = """
import sys
from hcs.run.viewer_fields import FieldWriter
from hcs.store.location import location
from hcs.store.plate.reader import open_plate
from hcs.store.plate.target import LabelTarget
from hcs.store.results.ledger import read_ledger
from hcs.store.results.record import RunRecord

out = location(sys.argv[1])
record, plate = RunRecord.read(out), open_plate(sys.argv[2])
target = LabelTarget.recorded(record.labels, out, sys.argv[2])
writer = FieldWriter(out, record.plate, plate, target, record.run_id)
counts = writer.write([(entry, None) for entry in read_ledger(out, record.keys, record.run_id)])
print(counts["written"] > 0, "pandas" in sys.modules)
"""


def test_a_field_travels_without_the_rows_of_others(results: Results) -> None:
    told = told_of(results)
    alone = {name: pa.Table.from_pylist(table.to_pylist(), schema=table.schema) for name, table in told.items()}
    assert len(told) > 1
    for name, table in told.items():
        assert len(pickle.dumps(table)) < 1.5 * len(pickle.dumps(alone[name]))
