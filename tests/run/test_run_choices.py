"""Which images and channels a run takes: chosen by the user or shown as guessed, never counted twice without a word."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.run import Hcs

from hcs.commands.simulate import SimulationFiles
from hcs.config import Config
from hcs.errors import ConfigError, PlateError
from hcs.plate.keys import FieldKey, WellId
from hcs.run.prepare import Prepared, prepare
from hcs.run.selection import select_images
from hcs.store.plate.reader import FieldEntry


def ready(plate: Path, out: Path, **settings: Any) -> Prepared:
    """A run that is prepared, with nothing written."""
    config = Config().override(labels="none", **settings)
    return prepare(plate, out, config, plate_map_path=None, wells=None, device="cpu")


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    file = folder / "zarr.json"
    document = json.loads(file.read_text())
    change(document["attributes"]["ome"])
    file.write_text(json.dumps(document))


def wells_of(plate: Path) -> list[Path]:
    return sorted(path.parent for path in plate.glob("*/*/zarr.json"))


def rename_channels(image: Path, *names: str) -> None:
    def change(ome: dict[str, Any]) -> None:
        for channel, name in zip(ome["omero"]["channels"], names, strict=True):
            channel["label"] = name

    edit(image, change)


def add_image(well: Path, name: str, acquisition: int | None = None, channels: tuple[str, ...] = ()) -> None:
    """A copy of the well's field 0 under another name."""
    shutil.copytree(well / "0", well / name)
    entry = {"path": name} | ({} if acquisition is None else {"acquisition": acquisition})
    edit(well, lambda ome: ome["well"]["images"].append(entry))
    if channels:
        rename_channels(well / name, *channels)


def test_several_acquisitions_must_be_chosen(plate: SimulationFiles, tmp_path: Path) -> None:
    for well in wells_of(plate.plate):
        edit(well, lambda ome: ome["well"]["images"][0].update(acquisition=0))
        add_image(well, "1", 1, ("DAPI_2", "pRB"))
    out = tmp_path / "results"
    with pytest.raises(ConfigError) as caught:
        ready(plate.plate, out)
    for words in (
        "6 wells",
        "0 (images 0, channels DNA, CDK2)",
        "1 (images 1, channels DAPI_2, pRB)",
        "--acquisition 0",
    ):
        assert words in str(caught.value)
    first = ready(plate.plate, out, acquisition=0)
    assert [str(key) for key in first.keys][:2] == ["A01/0", "A02/0"]
    assert first.job.channels.names == ("DNA", "CDK2")
    assert first.record.identity["config"]["acquisition"] == 0
    assert any("6 of 12 images are left out" in line for line in first.lines())
    second = ready(plate.plate, out, acquisition=1, dna="DAPI_2")
    assert {key.field for key in second.keys} == {1}
    with pytest.raises(ConfigError, match=r"--acquisition 7 is none of this plate's; it has 0, 1"):
        ready(plate.plate, out, acquisition=7)
    everything = ready(plate.plate, out, acquisition="all")
    assert len(everything.keys) == 12
    assert not out.exists()


@pytest.mark.parametrize("name", ["0_mip", "0_illum_corr", "0-registered"])
def test_versions_of_a_field_must_be_chosen(plate: SimulationFiles, tmp_path: Path, name: str) -> None:
    for well in wells_of(plate.plate)[:2]:
        add_image(well, name)
    with pytest.raises(ConfigError, match=rf"2 wells .* versions of one field \(A01: 0, {name}\).*--images '0'"):
        ready(plate.plate, tmp_path / "results")
    assert len(ready(plate.plate, tmp_path / "results", images="0").keys) == 6
    assert len(ready(plate.plate, tmp_path / "results", images="*").keys) == 8
    chosen = ready(plate.plate, tmp_path / "results", images=name)
    assert len(chosen.keys) == 2
    assert any("4 wells (" in line and "have no such image" in line for line in chosen.lines())
    with pytest.raises(ConfigError, match=r"--images 'raw' names no image of this plate's wells; they have 0, 0"):
        ready(plate.plate, tmp_path / "results", images="raw")


def test_cycles_without_acquisitions_are_told_by_their_channels(plate: SimulationFiles, tmp_path: Path) -> None:
    for well in wells_of(plate.plate):
        add_image(well, "1", None, ("DAPI_2", "pRB"))
    with pytest.raises(ConfigError, match=r"cycles of the same fields; say --images .* --images 0"):
        ready(plate.plate, tmp_path / "results")
    assert len(ready(plate.plate, tmp_path / "results", images="0").keys) == 6


def entries(*names: str) -> tuple[FieldEntry, ...]:
    return tuple(FieldEntry(FieldKey(WellId(0, 0), i), f"A/01/{name}") for i, name in enumerate(names))


@pytest.mark.parametrize(
    "names",
    [
        ("0", "1", "10", "2"),
        ("000", "001"),
        ("field_1", "field_2"),
        ("A01_s1", "A01_s2"),
        ("s1_c1", "s2_c1"),
        ("raw_0", "raw_1"),
    ],
)
def test_fields_are_no_versions(names: tuple[str, ...]) -> None:
    assert len(select_images(entries(*names), Config(), {}).fields) == len(names)


@pytest.mark.parametrize(
    "names",
    [
        ("0", "0_mip"),
        ("raw", "corrected"),
        ("0_raw", "0_corr", "1_raw", "1_corr"),
        ("cycle1_0", "cycle2_0"),
        ("0_v1", "0_v2"),
        ("0", "1", "1.deconvolved"),
        ("0", "MIP_0"),
        ("0", "00"),
    ],
)
def test_versions_are_told_by_their_names(names: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="versions of one field"):
        select_images(entries(*names), Config(), {})
    assert len(select_images(entries(*names), Config(images="*"), {}).fields) == len(names)


def test_most_fields_decide_the_channels_not_the_first(plate: SimulationFiles, tmp_path: Path) -> None:
    rename_channels(plate.plate / "A" / "01" / "0", "GFP", "Cy5")
    prepared = ready(plate.plate, tmp_path / "results")
    assert prepared.job.channels.names == ("DNA", "CDK2")
    assert any(
        "1 of 6 fields have other channels than most, DNA, CDK2, and will fail (A01/0: GFP, Cy5)" in note
        for note in prepared.notes
    )


def test_the_reason_of_every_choice_is_shown_and_kept(plate: SimulationFiles, tmp_path: Path) -> None:
    guessed = "\n".join(ready(plate.plate, tmp_path / "results").lines())
    assert "tiny: 6 wells, 6 fields; channels DNA, CDK2" in guessed
    assert "DNA channel      DNA (guessed: its name is that of a DNA stain" in guessed
    assert "sensor channel   CDK2 (guessed" in guessed
    assert "nuclei found in  DNA (the DNA channel)" in guessed
    given = ready(plate.plate, tmp_path / "results", dna="CDK2", sensor="DNA", nuclei="DNA")
    text = "\n".join(given.lines())
    assert "DNA channel      CDK2 (as --dna says, although DNA has the name of a DNA stain)" in text
    assert "nuclei found in  DNA (as --nuclei says)" in text
    assert given.record.channels.because["dna"].startswith("as --dna says")


def one_channel(plate: Path, name: str) -> None:
    """Leave each field its first channel alone, under another name."""
    import zarr

    for well in wells_of(plate):
        image = well / "0"
        pixels = zarr.open_array(image / "0", mode="r")[:1]
        edit(image, lambda ome: ome["omero"].update(channels=[{"label": name}]))
        shutil.rmtree(image / "0")
        zarr.create_array(image / "0", data=pixels)


def test_an_option_counts_on_a_plate_of_one_channel_too(plate: SimulationFiles, tmp_path: Path) -> None:
    one_channel(plate.plate, "GFP")
    with pytest.raises(ConfigError, match=r"--dna 'Hoechst' is no channel of this plate; it has 0 \(GFP\)"):
        ready(plate.plate, tmp_path / "results", dna="Hoechst")
    assert "GFP (guessed: the plate has no other channel)" in "\n".join(ready(plate.plate, tmp_path / "r").lines())


@pytest.mark.parametrize(
    ("names", "dna"),
    [
        (("Hoechst 33342", "GFP"), 0),
        (("GFP", "nuclei"), 1),
        (("NuclearStain", "GFP"), 0),
        (("405 nm", "Nuclear lamin 488"), None),
        (("cDNA3-GFP", "w2"), None),
        (("DAPI", "DNA damage"), None),
        (("Nuclei", "DAPI"), 1),
    ],
)
def test_what_is_guessed_for_dna(
    plate: SimulationFiles, tmp_path: Path, names: tuple[str, str], dna: int | None
) -> None:
    for well in wells_of(plate.plate):
        rename_channels(well / "0", *names)
    if dna is None:
        with pytest.raises(ConfigError, match="which of its channels is DNA"):
            ready(plate.plate, tmp_path / "results")
    else:
        assert ready(plate.plate, tmp_path / "results").job.channels.dna == dna


def test_a_run_shows_its_choices_first_and_notices_a_field_that_is_there_twice(
    hcs: Hcs, plate: SimulationFiles, tmp_path: Path
) -> None:
    add_image(plate.plate / "A" / "01", "1")
    shutil.rmtree(plate.plate / "A" / "03")
    out = tmp_path / "results"
    shown = hcs("run", plate.plate, "--out", out, "--labels", "none", "--workers", 1)
    assert shown.out.splitlines()[0] == "tiny: 6 wells, 7 fields; channels DNA, CDK2"
    assert shown.out.splitlines()[1].startswith("  DNA channel      DNA (guessed")
    assert "1 fields show exactly the same pixels as an earlier field of their well (A01/1 as A01/0)" in shown.out
    assert shown.code == 1
    assert "the plate lists well A03 but has no folder A/03: it was not converted" in shown.err
    fields = pd.read_parquet(out / "fields.parquet").set_index(["Metadata_Well", "Metadata_Site"])
    assert fields.loc[("A01", 1), "Flags"] == "same_pixels"
    again = hcs("run", plate.plate, "--out", out, "--labels", "none", "--images", "0")
    assert again.code == 2
    assert "config.images" in again.err


def test_options_reach_the_plan(hcs: Hcs, plate: SimulationFiles) -> None:
    add_image(plate.plate / "A" / "01", "0_mip")
    shown = hcs("plan", plate.plate, "--workers", 1)
    assert shown.code == 2
    assert "--images" in shown.err
    assert hcs("plan", plate.plate, "--acquisition", "x").code == 2


def test_a_plate_without_any_readable_image_among_those_chosen(plate: SimulationFiles, tmp_path: Path) -> None:
    for well in wells_of(plate.plate):
        edit(well, lambda ome: ome["well"]["images"].append({"path": "gone_7"}))
    with pytest.raises(PlateError, match="not one of the images asked for can be read"):
        ready(plate.plate, tmp_path / "results", images="gone*")
