"""Microscopes' folders that are run where they lie: the table of their conversion, byte for byte, and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from hcs.config import Config
from hcs.errors import ConfigError, HcsError, ResultsError
from hcs.field.whole import process_fields_here
from hcs.plate.keys import FieldKey
from hcs.run.prepare import Prepared, open_run, prepare
from hcs.store.files.convert import convert_plate
from hcs.store.location import Location
from hcs.store.plate.labels import read_labels
from hcs.store.results.folder import open_results
from hcs.store.results.ledger import read_ledger

NOBODY: Any = None
"""No cluster: the size of the nuclei is given, and fields are processed in this process."""


def settings(**more: Any) -> Config:
    return Config().override(diameter_px=60.0, **more)  # large, so that the network sees little


def processed(source: Location, out: Path, config: Config, plate_map: Path | None = None) -> Prepared:
    """A run up to its last field, in this process."""
    prepared = prepare(source, out, config, plate_map_path=plate_map, wells=None, device="cpu")
    opened = open_run(prepared, NOBODY)
    process_fields_here(opened.job, opened.pending)
    return opened


def parts(out: Path) -> dict[str, bytes]:
    """Every part of the nucleus table."""
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*.parquet"))}


def pixels(out: Path, prepared: Prepared) -> list[tuple[str, str, str]]:
    """What became of each field, and the checksum of its pixels."""
    entries = read_ledger(out, prepared.keys, prepared.job.run_id)
    return [(entry.field, entry.status, entry.input_crc32) for entry in entries]


REAL = [
    ("microscopes/plateviewer-metaxpress/MD-MULTISITE-TIF", {"dna": "DAPI"}),
    ("microscopes/plateviewer-scanr/SCANR-C2-S1-T1", {"dna": "GFP", "sensor": "mcherry"}),
    ("vendor-layouts/ImageXpress/SingleChannel/2023-02-21/1334", {}),
    ("vendor-layouts/ImageXpress_exported/9987_Plate_3435", {"dna": 0}),
]


@pytest.mark.parametrize(("place", "channels"), REAL, ids=["imagexpress", "scanr", "z planes", "time"])
def test_the_table_is_that_of_the_conversion(
    shared_data: Path, tmp_path: Path, place: str, channels: dict[str, Any]
) -> None:
    source = shared_data / place
    before = {path: path.stat().st_mtime_ns for path in source.rglob("*")}
    here = processed(source, tmp_path / "here", settings(**channels))
    plate = tmp_path / f"{source.name}.zarr"
    convert_plate(source, plate)
    there = processed(plate, tmp_path / "there", settings(labels="out", **channels))
    assert parts(tmp_path / "here") == parts(tmp_path / "there") != {}
    assert pixels(tmp_path / "here", here) == pixels(tmp_path / "there", there)
    assert {path: path.stat().st_mtime_ns for path in source.rglob("*")} == before  # nothing was written there
    if not here.keys[0].is_frame:  # frames become labels with time when they are linked
        labels = [read_labels(str(tmp_path / run / "labels.zarr"), here.keys[0]) for run in ("here", "there")]
        assert (labels[0] == labels[1]).all()


HARMONY = """<EvaluationInputData xmlns="http://www.perkinelmer.com/PEHH/HarmonyV5"><Images>{images}</Images><Maps><Map>
<Entry ChannelID="1"><ChannelName>HOECHST 33342</ChannelName><FlatfieldProfile>{{Background: {{Character: NonFlat, Mean:
100, Profile: {{Coefficients: [[1.2], [0.1, 0], [-2, 0, -1]], Dims: [128, 128], Origin: [63.5, 63.5], Scale: [0.0078,
0.0078], Type: Polynomial}}}}, Foreground: {{Character: NonFlat, NonFlatness: {{Random: INF}}, Profile: {{Coefficients:
[[1.1], [0, 0.2], [-1, 0, -1]], Dims: [128, 128], Origin: [63.5, 63.5], Scale: [0.0078, 0.0078], Type: Polynomial}}}},
Channel: 1, Version: Acapella:2013}}</FlatfieldProfile></Entry></Map></Maps></EvaluationInputData>"""
IMAGE = (
    "<Image><URL>{name}</URL><Row>1</Row><Col>{column}</Col><FieldID>1</FieldID><PlaneID>1</PlaneID><ChannelID>1"
    "</ChannelID></Image>"
)
LAYOUT = """<AssayLayout xmlns="http://www.perkinelmer.com/PEHH/HarmonyV5"><Layer><Name>Compound</Name>
<Well><Row>1</Row><Col>1</Col><Value>DMSO</Value></Well><Well><Row>1</Row><Col>2</Col><Value>Taxol</Value></Well>
<Well><Row>1</Row><Col>3</Col><Value/></Well></Layer><Layer><Name>Dose</Name><Unit>uM</Unit>
<Well><Row>1</Row><Col>2</Col><Value>0.5</Value></Well></Layer></AssayLayout>"""


@pytest.fixture
def harmony(tmp_path: Path) -> Path:
    """A Harmony export of two wells of discs, with flat-field and assay layout."""
    folder = tmp_path / "240624 Zellen µ"
    (folder / "Images").mkdir(parents=True)
    (folder / "Assaylayout").mkdir()
    y, x = np.mgrid[:128, :128]
    for column in (1, 2):
        image = np.random.default_rng(column).poisson(100, (128, 128))
        for cy in (30, 64, 98):
            image += 900 * ((y - cy) ** 2 + (x - 32 * column) ** 2 < 81)
        tifffile.imwrite(folder / "Images" / f"r01c0{column}f01p01-ch1sk1fk1fl1.tiff", image.astype(np.uint16))
    images = "".join(IMAGE.format(name=f"r01c0{c}f01p01-ch1sk1fk1fl1.tiff", column=c) for c in (1, 2))
    (folder / "Images" / "Index.idx.xml").write_text(HARMONY.format(images=images))
    (folder / "Assaylayout" / "Layout.xml").write_text(LAYOUT)
    return folder


def test_harmonys_flat_field_and_layout_are_used_and_said(harmony: Path, tmp_path: Path) -> None:
    here = processed(harmony, tmp_path / "here", settings())
    said = "\n".join(here.lines())
    assert "Illumination is corrected by the microscope's own flat-field" in said
    assert "The plate map is the microscope's own layout" in said
    assert "Images are read where they are" in said
    assert "Labels go to" in said
    assert here.plate_map is not None
    assert here.plate_map.frame[["well", "compound", "dose", "unit"]].fillna({"dose": 0.0}).values.tolist() == [
        ["A01", "DMSO", 0.0, ""],
        ["A02", "Taxol", 0.5, "µM"],
    ]
    light = here.record.illumination
    assert light is not None
    assert light["source"] == "plate"
    assert light["channels"]["HOECHST 33342"]["brightest_to_darkest"] > 1.5
    plain = processed(harmony, tmp_path / "plain", settings(illumination="none"))
    assert plain.record.illumination is None
    assert parts(tmp_path / "plain") != parts(tmp_path / "here")
    convert_plate(harmony, tmp_path / "240624 Zellen µ.zarr")
    processed(tmp_path / "240624 Zellen µ.zarr", tmp_path / "there", settings(labels="out"))
    assert parts(tmp_path / "there") == parts(tmp_path / "here")


def test_a_run_goes_on_and_its_results_can_be_moved(harmony: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    here = prepare(harmony, out, settings(), plate_map_path=None, wells=None, device="cpu")
    opened = open_run(here, NOBODY)
    process_fields_here(opened.job, opened.pending[:1])
    again = prepare(harmony, out, settings(), plate_map_path=None, wells=None, device="cpu")
    assert [str(key) for key in again.pending] == ["A02/0"]
    process_fields_here(open_run(again, NOBODY).job, again.pending)
    moved = tmp_path / "elsewhere"
    out.rename(moved)
    shutil.copytree(harmony, tmp_path / "copy" / harmony.name)
    results = open_results(moved)
    assert results.record.images_from is not None
    assert results.record.images_from["layout"] == "Opera Phenix or Operetta, Harmony 5"
    original = tifffile.imread(harmony / "Images" / "r01c02f01p01-ch1sk1fk1fl1.tiff")
    assert (results.image("A02", 0, 0) == original).all()
    assert results.labels("A02", 0).max() == (results.nuclei()["Metadata_Well"] == "A02").sum() > 0
    # The same images from another place go on, too.
    other = prepare(tmp_path / "copy" / harmony.name, moved, settings(), plate_map_path=None, wells=None, device="cpu")
    assert other.pending == ()


def test_what_does_not_fit_a_run_is_refused_and_changes_nothing(harmony: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    processed(harmony, out, settings())
    before = {path: path.read_bytes() for path in (out / "images.zarr").rglob("*") if path.is_file()}

    def refused(sentence: str, **more: Any) -> None:
        with pytest.raises(ConfigError, match=sentence):
            prepare(harmony, out, settings(**more), plate_map_path=None, wells=None, device="cpu")
        assert {path: path.read_bytes() for path in (out / "images.zarr").rglob("*") if path.is_file()} == before

    refused("understood .* otherwise", folder={"channels": ["DNA"]})
    index = harmony / "Images" / "Index.idx.xml"
    index.write_text(index.read_text().replace("</Images>", IMAGE.format(name="x.tiff", column=3) + "</Images>"))
    tifffile.imwrite(harmony / "Images" / "x.tiff", np.ones((128, 128), np.uint16))
    refused("has other fields than when the run")


def test_a_refused_run_leaves_nothing(harmony: Path, tmp_path: Path) -> None:
    with pytest.raises(HcsError, match="is no channel"):
        prepare(harmony, tmp_path / "out", settings(dna="GFP"), plate_map_path=None, wells=None, device="cpu")
    assert not (tmp_path / "out").exists()
    (tmp_path / "out" / "images.zarr").mkdir(parents=True)
    with pytest.raises(ResultsError, match="is in the way, and hcs did not make it"):
        prepare(harmony, tmp_path / "out", settings(), plate_map_path=None, wells=None, device="cpu")
    assert (tmp_path / "out" / "images.zarr").is_dir()


def test_a_file_that_is_damaged_or_replaced_meanwhile_fails_its_field(harmony: Path, tmp_path: Path) -> None:
    here = open_run(
        prepare(harmony, tmp_path / "out", settings(), plate_map_path=None, wells=None, device="cpu"), NOBODY
    )
    first, second = sorted((harmony / "Images").glob("*.tiff"))
    first.write_bytes(first.read_bytes()[:9000])
    tifffile.imwrite(second, np.ones((64, 64), np.uint16))
    process_fields_here(here.job, here.pending)
    entries = {entry.field: entry for entry in read_ledger(tmp_path / "out", here.keys, here.job.run_id)}
    assert {entry.status for entry in entries.values()} == {"failed"}
    assert f"{first} is cut short" in entries["A01/0"].reason
    assert "the file was replaced" in entries["A02/0"].reason


def test_sentences_name_the_options_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "cq1").mkdir()
    tifffile.imwrite(tmp_path / "cq1" / "W0013F0001T0001Z000C1.tif", np.ones((32, 32), np.uint16))

    def run(**folder: Any) -> Prepared:
        config = settings(folder=folder)
        return prepare(tmp_path / "cq1", tmp_path / "out", config, plate_map_path=None, wells=None, device="cpu")

    with pytest.raises(HcsError, match="say --folder plate_format=… with the number of its wells"):
        run()
    said = "\n".join(run(plate_format=96, channels=("DNA",)).lines())
    assert "size unknown (--folder pixel_size_um=… says it)" in said
    assert "1 DNA" not in said
    assert "→ DNA" in said
    assert "0013 is B01" in said


def test_the_map_of_the_user_goes_before_the_microscopes(harmony: Path, tmp_path: Path) -> None:
    (tmp_path / "map.csv").write_text("well,role,compound\nA01,negative,DMSO\nA02,positive,Nocodazole\n")
    here = prepare(
        harmony, tmp_path / "out", settings(), plate_map_path=tmp_path / "map.csv", wells="A02", device="cpu"
    )
    assert here.plate_map is not None
    assert list(here.plate_map.frame["compound"]) == ["DMSO", "Nocodazole"]
    assert here.keys == (FieldKey.parse("A02/0"),)
    assert (
        json.loads((tmp_path / "out" / "images.zarr" / "zarr.json").read_text())["attributes"]["hcs"]["missing"] == []
    )
