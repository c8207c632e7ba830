"""Bad input: one sentence that names it, exit code 2, nothing written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import zarr
from helpers.run import Finished, Hcs

from hcs.commands.simulate import SimulationFiles
from hcs.plate.keys import FieldKey
from hcs.store.plate.reader import open_plate, read_field
from hcs.store.plate.writer import PlateSpec, write_field


def refused(shown: object, out: Path | None, *words: str) -> None:
    """Exit code 2, one line of text with these words, and no results folder."""
    assert shown.code == 2, shown  # type: ignore[attr-defined]
    text = shown.err.strip()  # type: ignore[attr-defined]
    assert text.startswith("hcs: ")
    assert len(text.splitlines()) == 1
    for word in words:
        assert word in text
    assert out is None or not out.exists()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "results"


def test_no_such_plate(hcs: Hcs, out: Path, tmp_path: Path) -> None:
    refused(hcs("run", tmp_path / "absent.zarr", "--out", out), out, "absent.zarr")


def test_a_folder_that_is_no_zarr(hcs: Hcs, out: Path, tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.txt").write_text("x")
    refused(hcs("run", tmp_path / "holiday", "--out", out), out, "holiday")


def test_a_zarr_without_plate_metadata(hcs: Hcs, out: Path, tmp_path: Path) -> None:
    zarr.open_group(str(tmp_path / "image.zarr"), mode="w")
    refused(hcs("run", tmp_path / "image.zarr", "--out", out), out, "image.zarr", "plate")


@pytest.mark.parametrize("option", ["--dna", "--sensor"])
def test_an_unknown_channel_lists_the_channels(hcs: Hcs, out: Path, simulated: SimulationFiles, option: str) -> None:
    refused(hcs("run", simulated.plate, "--out", out, option, "GPF"), out, "GPF", option, "DNA", "CDK2")


def test_channels_that_cannot_be_told_apart(hcs: Hcs, out: Path, simulated: SimulationFiles) -> None:
    refused(hcs("run", simulated.plate, "--out", out, "--dna", "1", "--sensor", "1"), out, "CDK2", "both")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["empty"]),
        ("well,role,compound,dose,unit\n", ["map.csv"]),
        ("well,role\nP24,negative\nP23,positive\n", ["no well in common", "P24", "A01"]),
        ("well,role\nA01,negative\na1,positive\n", ["A01"]),
        ("well,role\nA01,boss\n", ["boss", "negative"]),
        ("well,role,dose\nA01,sample,much\n", ["much"]),
        ("compound,role\nx,negative\n", ["well"]),
    ],
    ids=["empty", "no rows", "another plate", "duplicate", "unknown role", "dose", "no well column"],
)
def test_a_plate_map_that_does_not_do(
    hcs: Hcs, out: Path, simulated: SimulationFiles, tmp_path: Path, text: str, words: list[str]
) -> None:
    (tmp_path / "map.csv").write_text(text)
    refused(hcs("run", simulated.plate, "--out", out, "--plate-map", tmp_path / "map.csv"), out, *words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tiles: [1,\n", ["config.yaml", "not YAML", "line"]),
        ("tile_size: 5\n", ["unknown key 'tile_size'"]),
        ("measure: {ring: 5}\n", ["unknown key 'measure.ring'"]),
        ("model: huge\n", ["'huge' does not exist", "fast"]),
        ("readout: {readouts: [Mean_Sensor_Ratio]}\n", ["Mean_Sensor_Ratio", "Mean_Nuclei_Sensor_Ratio"]),
    ],
    ids=["not yaml", "unknown key", "unknown nested key", "unknown model", "unknown readout"],
)
def test_a_configuration_that_does_not_do(
    hcs: Hcs, out: Path, simulated: SimulationFiles, tmp_path: Path, text: str, words: list[str]
) -> None:
    (tmp_path / "config.yaml").write_text(text)
    refused(hcs("run", simulated.plate, "--out", out, "--config", tmp_path / "config.yaml"), out, *words)


def test_the_folder_of_another_run_names_what_differs(hcs: Hcs, finished: Finished) -> None:
    run = ("run", finished.files.plate, "--out", finished.out, "--plate-map", finished.files.plate_map)
    before = sorted(finished.out.rglob("*"))
    refused(hcs(*run, "--wells", "A01"), None, "wells", "another run")
    refused(hcs(*run, "--sensor", "DNA", "--dna", "CDK2"), None, "config.channels.dna", "config.channels.sensor")
    refused(hcs("run", finished.files.plate, "--out", finished.out), None, "another plate map", "hcs readout")
    assert sorted(finished.out.rglob("*")) == before


def test_a_plate_whose_pixels_changed_is_not_mixed_with_the_old_ones(
    hcs: Hcs, finished: Finished, tmp_path: Path
) -> None:
    shutil.copytree(finished.files.plate, tmp_path / "tiny.zarr")
    shutil.copytree(finished.out, tmp_path / "results")
    key = FieldKey.parse("A01/0")
    image = read_field(open_plate(str(tmp_path / "tiny.zarr")), key, channels=(0, 1))
    spec = PlateSpec(name="tiny", wells=(key.well,), fields_per_well=1, channels=("DNA", "CDK2"))
    write_field(str(tmp_path / "tiny.zarr"), spec, key, image + 1)
    run = ("run", tmp_path / "tiny.zarr", "--out", tmp_path / "results", "--plate-map", finished.files.plate_map)
    refused(hcs(*run), None, "other pixels", "A01/0")


def test_a_folder_with_other_things_in_it_is_left_alone(hcs: Hcs, simulated: SimulationFiles, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years")
    refused(hcs("run", simulated.plate, "--out", tmp_path), None, "not empty")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--wells", "H12"], ["H12", "names no well"]),
        (["--workers", "0"], ["--workers 0", "at least one"]),
        (["--scheduler", "tcp://127.0.0.1:9"], ["tcp://127.0.0.1:9", "no dask scheduler answers"]),
        (["--workers", "2", "--scheduler", "tcp://127.0.0.1:9"], ["exclude each other"]),
    ],
    ids=["wells", "workers", "scheduler", "both"],
)
def test_options_that_cannot_work(
    hcs: Hcs, out: Path, simulated: SimulationFiles, options: list[str], words: list[str]
) -> None:
    refused(hcs("run", simulated.plate, "--out", out, *options), out, *words)


def test_a_gpu_that_is_not_there_is_an_error_not_a_fall_back(hcs: Hcs, out: Path, simulated: SimulationFiles) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    refused(hcs("run", simulated.plate, "--out", out, "--device", "cuda"), out, "--device cuda", "--device cpu")


def test_a_plate_whose_channels_do_not_tell_which_is_dna(hcs: Hcs, out: Path, plate: SimulationFiles) -> None:
    for metadata in plate.plate.rglob("zarr.json"):
        metadata.write_text(metadata.read_text().replace('"DNA"', '"w1"').replace('"CDK2"', '"w2"'))
    refused(hcs("run", plate.plate, "--out", out), out, "which of its channels is DNA", "w1, w2", "--dna")


def test_readout_and_status_of_a_folder_that_is_no_run(hcs: Hcs, tmp_path: Path) -> None:
    refused(hcs("readout", tmp_path), None, "holds no run.json")
    refused(hcs("status", tmp_path), None, "holds no run.json")


def test_usage_errors_exit_with_2(hcs: Hcs) -> None:
    assert hcs("run").code == 2
    assert hcs("nonsense").code == 2
    assert hcs("--help").code == 0


def test_simulating_over_something_is_refused(hcs: Hcs, simulated: SimulationFiles, tmp_path: Path) -> None:
    refused(hcs("simulate", "--out", simulated.plate), None, "exists already")
    refused(hcs("simulate", "--out", tmp_path / "p.zarr", "--n-wells", "0"), tmp_path / "p.zarr", "wells")
    shutil.rmtree(tmp_path / "p.zarr", ignore_errors=True)


def test_segmenting_a_folder_without_images(hcs: Hcs, tmp_path: Path) -> None:
    refused(hcs("segment", tmp_path, tmp_path / "labels"), tmp_path / "labels", "holds no")
    refused(hcs("segment", tmp_path / "no", tmp_path / "labels"), tmp_path / "labels", "not a folder")
