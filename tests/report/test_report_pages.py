"""Figures and the HTML page: they hold what the tables hold, whatever the tables hold."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.report import Page, make_record

from hcs.config import Config
from hcs.errors import ConfigError, ResultsError
from hcs.plate.keys import WellId, plate_shape
from hcs.readout.readouts import Readouts, make_readouts
from hcs.readout.screen.toxicity import find_toxicity
from hcs.readout.settings import ReadoutSettings
from hcs.readout.wells.dead import LIVING
from hcs.report.compounds import compound_rows
from hcs.report.data import page_data
from hcs.report.distrust import distrusted
from hcs.report.figures import (
    dna_histogram,
    dose_curves,
    figure_bytes,
    plate_heatmap,
    readme_figure,
    save_figure,
)
from hcs.report.html import render_report
from hcs.report.overlay import outlined
from hcs.report.pictures import pictured_fields
from hcs.report.summary import answers
from hcs.report.tables import PlateTables
from hcs.report.thumbnails import outline_texts
from hcs.run.page import write_report
from hcs.store.results.folder import open_results

PNG = b"\x89PNG"
HOSTILE = "<script>alert(\"1\")</script><img src=x onerror='y'> $\\frac{ \n\x00 \u202e漢" + "x" * 10_000
RATIO = "Mean_Nuclei_Sensor_Ratio"


@cache
def plate(*, text: str = "drug", usable: bool = True, lost: bool = False, mapped: bool = True) -> Readouts:
    """Rows A to D: two negative wells, two doses of a compound, one positive well, one well that failed."""
    rng = np.random.default_rng(0)
    roles = {1: "negative", 2: "negative", 3: "sample", 4: "sample", 5: "positive", 6: "sample"}
    doses = {1: math.nan, 2: math.nan, 3: 1.0, 4: 10.0, 5: 5.0, 6: 10.0}
    frames, rows, fields = [], [], []
    for well in (f"{r}{c:02d}" for r in "ABCD" for c in range(1, 7)):
        column = int(well[1:])
        failed = lost or column == 6
        fields.append({"well": well, "field": 0, "status": "failed" if failed else "ok", "reason": text})
        compound = "" if column < 3 else text
        rows.append(
            {
                "well": well,
                "role": roles[column],
                "compound": compound,
                "dose": doses[column],
                "unit": text,
                "group": text,
            }
        )
        n = 60 if usable else 5
        content = 700 * rng.choice([2.0, 4.0], n, p=[0.8, 0.2]) * (1 + 0.05 * rng.standard_normal(n))
        ratio = column + 0.1 * rng.standard_normal(n)
        frame = {"Metadata_Plate": text, "Metadata_Well": well, "Nuclei_DNA_Content": content}
        if not failed:
            frames.append(pd.DataFrame({**frame, "Nuclei_Sensor_Ratio": ratio}))
    nuclei = pd.concat(frames) if frames else pd.DataFrame({"Metadata_Plate": [], "Metadata_Well": []})
    plate_map = pd.DataFrame(rows) if mapped else None
    return make_readouts(nuclei, pd.DataFrame(fields), plate_map, ReadoutSettings(draws=100), plate=text)


def tables_of(readouts: Readouts, name: str = "P1", **frames: pd.DataFrame) -> PlateTables:
    """The tables that a folder of these readouts would hold."""
    own = {"wells": readouts.wells, "compounds": readouts.compounds, "plate": readouts.plate}
    return PlateTables(
        plate=name,
        frames=own | readouts.screen.frames() | frames,
        nuclei=pd.DataFrame(),
        record=make_record("plate.zarr", Config(), (), ""),
        dictionary=pd.DataFrame(),
    )


def page_of(readouts: Readouts, name: str = "P1", **provenance: object) -> Page:
    tables = tables_of(readouts, name)
    return Page(render_report(tables, page_data(tables), notes=readouts.notes, provenance=provenance))


def test_report_holds_the_numbers_and_the_wells() -> None:
    readouts = plate()
    page = page_of(readouts, model="sha256:abc", config={"measure": {"ring_width_px": 5}})
    first = readouts.plate.iloc[0]
    assert f"Z′ {first['ZPrime']:.2f} ({first['ZPrime_Low']:.2f} to {first['ZPrime_High']:.2f})" in page.text
    assert "4 of 24 wells (20 ok, 4 failed) have a reason to look twice" in page.text
    assert "A06failed: field 0: drug" in page.text
    assert "sha256:abc" in page.text
    assert '"ring_width_px": 5' in page.text


def test_the_data_of_the_page_are_the_tables() -> None:
    readouts = plate()
    shown = page_of(readouts).data["tables"]
    frames = {"wells": readouts.wells, "compounds": readouts.compounds, "plate": readouts.plate}
    for name, frame in (frames | readouts.screen.frames()).items():
        assert shown[name]["rows"] == len(frame)
        for column in frame.select_dtypes("number"):
            values = [math.nan if v is None else float(v) for v in shown[name]["columns"][column]]
            np.testing.assert_array_equal(values, frame[column].to_numpy(dtype=np.float64, na_value=np.nan))


def test_report_asks_for_nothing() -> None:
    page = page_of(plate())
    sources = [value or "" for name, value in page.attributes if name in ("src", "href")]
    assert sources
    assert all(source.startswith(("#", "data:")) for source in sources)
    policy = next(
        value or "" for name, value in page.attributes if name == "content" and "default-src" in (value or "")
    )
    assert "default-src 'none'" in policy
    targets = {source[1:] for source in sources if source.startswith("#")}
    assert targets <= {value for name, value in page.attributes if name == "id"}


def test_hostile_text_stays_text() -> None:
    page = page_of(plate(text=HOSTILE), HOSTILE, **{HOSTILE: HOSTILE, "config": {HOSTILE: [HOSTILE]}})
    assert page.tags.count("script") == 2  # the data and the program
    assert "img" not in page.tags
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert '<script>alert("1")</script>' in page.text


@pytest.mark.parametrize(
    "options", [{"mapped": False}, {"usable": False}, {"lost": True}, {"lost": True, "mapped": False}]
)
def test_report_of_a_plate_with_something_missing(options: dict[str, bool]) -> None:
    readouts = plate(**options)  # type: ignore[arg-type]
    page = page_of(readouts)
    for note in readouts.notes:
        assert note in page.text
    if not options.get("mapped", True):
        assert "Is the plate good?– openUnknown: " in page.text
        assert "No plate map was given" in page.text
    if options.get("lost") or not options.get("usable", True):
        assert "Can the cell cycle be read?– openNo: " in page.text


def test_a_compound_in_one_row_by_hand() -> None:
    readouts = plate()
    hits = pd.DataFrame(
        {
            "Readout": RATIO,
            "Compound": "drug",
            "Group": "drug",
            "Dose": [1.0, 5.0, 10.0],
            "Hit": pd.array([True, None, True], dtype="boolean"),
            "PercentEffect": [30.0, 99.0, 60.0],
        }
    )
    doses = pd.DataFrame(
        {"Readout": RATIO, "Compound": "drug", "Group": "drug", "EC50": 2.0, "EC50_Low": 1.0, "EC50_High": [4.0]}
    ).assign(Unit="nM", Reason="")
    row = compound_rows(tables_of(readouts, hits=hits, doses=doses))[0]
    assert (row.compound, row.works, row.first_dose, row.half_dose) == ("drug", True, 1.0, 10.0)
    assert row.ec50 == "2.00 (1.00 to 4.00) nM"
    none = hits.assign(Hit=pd.array([False] * 3, dtype="boolean"))
    row = compound_rows(tables_of(readouts, hits=none))[0]
    assert row.works is False
    assert math.isnan(row.first_dose)
    assert math.isnan(row.half_dose)


def test_toxicity_and_direction_are_said() -> None:
    readouts = plate()
    toxic = (readouts.wells["Metadata_Dose"] == 10.0) & (readouts.wells["Status"] == "ok")
    living = np.where(toxic, 29.0, 60.0 + np.arange(len(readouts.wells)) % 4)
    wells = readouts.wells.assign(**{LIVING: living})
    hits = pd.DataFrame({"Readout": RATIO, "Compound": "drug", "Dose": [1.0, 10.0], "PercentEffect": [-30.0, -60.0]})
    called = hits.assign(Hit=pd.array([True, True], dtype="boolean"))
    toxicity = find_toxicity(wells, readouts.settings)
    tables = tables_of(readouts, wells=wells, hits=called, toxicity=toxicity)
    works, toxic_ones = answers(tables)[1:3]
    assert "opposite to the positives" in works.lines[0]
    assert "(toxic from 10.0 drug)" in works.headline
    assert (toxic_ones.question, toxic_ones.mark) == ("Which compounds are toxic?", "fair")
    assert (
        toxic_ones.headline == "1 of 1 compounds leaves fewer living nuclei than chance explains: drug from 10.0 drug."
    )
    assert toxic_ones.lines[0].startswith("drug: 47% (")
    assert "no more dead cells than the negatives have" in toxic_ones.lines[0]
    assert compound_rows(tables)[0].toxic == "10.0 drug"
    fine = find_toxicity(wells.assign(**{LIVING: 60.0}), readouts.settings)
    harmless = tables_of(readouts, hits=called, toxicity=fine)
    assert answers(harmless)[2].headline == "None of 1 compounds leaves fewer living nuclei than chance explains."
    assert answers(harmless)[2].mark == "good"
    assert compound_rows(harmless)[0].toxic == ""
    assert answers(tables_of(readouts))[2].mark == "none"
    assert compound_rows(tables_of(readouts))[0].toxic is None


def test_the_largest_cause_is_named_only_beyond_chance() -> None:
    readouts = plate()
    cause = pd.DataFrame(
        {
            "Readout": RATIO,
            "Group": "",
            "Cause": ["edge", "gradient", "well"],
            "Detail": ["all round", "down", "A05, positive"],
            "ZPrime": 0.4,
            "ZPrime_Without": [0.9, 0.6, 0.5],
            "Delta": [0.5, 0.2, 0.1],
            "PValue": [0.3, 0.001, 0.001],
        }
    )
    tables = tables_of(readouts, attribution=cause)
    text = " ".join(line for answer in answers(tables) for line in answer.lines)
    assert "gradient (down). Without this cause, Z′ over all controls would be 0.600 instead of 0.400" in text
    assert distrusted(tables)["A05"] == "without it Z′ would be 0.500 instead of 0.400"
    lucky = tables_of(readouts, attribution=cause.assign(PValue=0.3))
    assert "largest cause" not in " ".join(line for answer in answers(lucky) for line in answer.lines)


def test_wells_to_look_at_twice_by_hand() -> None:
    readouts = plate()
    counts = np.where(readouts.wells["Metadata_Well"] == "B01", 5, 400)
    wells = readouts.wells.assign(Count_Nuclei=counts, Status="ok")
    wells.loc[wells["Metadata_Well"] == "C03", ["Status", "Reason"]] = ["excluded", "flagged blurred_DNA"]
    wells.loc[wells["Metadata_Well"] == "D06", ["Status", "Metadata_Role", "Count_Nuclei"]] = ["empty", "empty", 0]
    wells.loc[wells["Metadata_Well"] == "D05", ["Metadata_Role", "Count_Nuclei"]] = ["empty", 60]
    wells.loc[wells["Metadata_Well"] == "D04", ["Metadata_Role", "Count_Nuclei"]] = ["empty", 3]
    fields = pd.DataFrame({"Metadata_Well": ["A03", "A03", "A04"], "Flags": ["stain_DNA;debris_DNA", "stain_DNA", ""]})
    found = distrusted(tables_of(readouts, wells=wells, fields=fields, attribution=pd.DataFrame()))
    assert found == {
        "A03": "image flagged: stain_DNA, debris_DNA (2 fields)",
        "B01": "5 nuclei, negative controls have 400 in the median",
        "C03": "excluded: flagged blurred_DNA",
        "D05": "should be empty, holds 60 nuclei",
    }


def test_a_folder_gets_its_page_and_every_figure_twice(results: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    shutil.copytree(results, out)
    write_report(out, pictures=False, figures=True)
    files = {path.name for path in (out / "figures").iterdir()} - {".hcs-files"}
    stems = {name.rpartition(".")[0] for name in files}
    assert {"zprime", "dna", "nuclei", "quality", f"plate-{RATIO}", f"doses-{RATIO}"} <= stems
    assert files == {f"{stem}.{kind}" for stem in stems for kind in ("png", "svg")}
    assert not (results / "figures").exists()  # a run leaves the page; figures take longer
    assert Page((results / "report.html").read_text(encoding="utf-8")).tags.count("script") == 2


def test_notes_and_settings_are_those_of_the_last_readouts(results: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    shutil.copytree(results, out, ignore=shutil.ignore_patterns("figures"))
    before = open_results(out).readouts()
    assert before is not None
    replace(before, settings={"bootstrap": 7}, notes=("3 fields were left out <b>.",)).write(out)
    write_report(out, pictures=False)
    page = Page((out / "report.html").read_text(encoding="utf-8"))
    assert "3 fields were left out <b>." in page.text
    assert '"bootstrap": 7' in page.text
    (out / "readout.json").write_text("[]")
    with pytest.raises(ResultsError, match=r"readout.json has no checksum.*`hcs readout .*` makes it again"):
        write_report(out, pictures=False)


@pytest.mark.parametrize(
    ("last", "shape"), [("H12", (8, 12)), ("B02", (8, 12)), ("I01", (16, 24)), ("A13", (16, 24)), ("AF48", (32, 48))]
)
def test_plate_format_is_the_smallest_that_holds_the_wells(last: str, shape: tuple[int, int]) -> None:
    assert plate_shape([WellId.parse("A01"), WellId.parse(last)]) == shape


def test_heat_map_shows_each_value_and_hatches_wells_without() -> None:
    readouts = plate()
    axes = plate_heatmap(readouts.wells, RATIO, title=HOSTILE).axes[0]
    grid = axes.images[0].get_array()
    values = readouts.wells.set_index("Metadata_Well")[RATIO]
    assert grid.shape == (8, 12)
    assert grid[1, 2] == pytest.approx(values["B03"])
    assert grid.count() == 20
    assert len([p for p in axes.patches if p.get_hatch()]) == 4
    assert [len(c.get_offsets()) for c in axes.collections] == [8, 4]  # negative, positive controls


def test_dose_curve_draws_wells_means_and_bands() -> None:
    readouts = plate()
    axes = dose_curves(readouts.wells, RATIO).axes[0]
    assert [len(c.get_offsets()) for c in axes.collections[:2]] == [8, 4]
    line = axes.lines[-1]
    assert line.get_xdata().tolist() == [1, 10]
    assert line.get_ydata().tolist() == pytest.approx([3, 4], abs=0.05)
    assert axes.get_xscale() == "log"


def test_dose_curves_stop_at_the_limit_and_say_so() -> None:
    wells = plate().wells
    many = pd.concat([wells.assign(Metadata_Compound=f"c{i}") for i in range(5)])
    figure = dose_curves(many, RATIO, limit=3)
    assert figure.get_suptitle() == "first 3 of 5 compounds"
    assert len(figure.axes) == 3


def test_dna_histogram_draws_the_phases() -> None:
    axes = dna_histogram(plate()).axes[0]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels[1].startswith("G1 ")
    assert len(axes.lines) == 5 + 1 + 4  # phases, their sum, gates


def test_outlines_by_hand() -> None:
    labels = np.zeros((5, 6), dtype=np.uint32)
    labels[1:4, 1:4] = 1
    labels[1:4, 4] = 2
    picture = outlined(np.zeros((5, 6), dtype=np.uint16), labels)
    coloured = picture.any(axis=2)
    assert coloured.sum() == 8 + 3  # all of the two nuclei but the inner pixel of the first
    assert not coloured[2, 2]


def test_overlay_refuses_another_shape() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        outlined(np.zeros((4, 4)), np.zeros((4, 5), dtype=int))


@pytest.mark.parametrize("options", [{}, {"mapped": False}, {"lost": True}, {"usable": False}, {"text": HOSTILE}])
def test_every_figure_can_be_drawn(options: dict[str, object]) -> None:
    readouts = plate(**options)  # type: ignore[arg-type]
    image, labels = np.arange(600.0).reshape(20, 30), np.eye(20, 30, dtype=np.int32)
    for figure in (
        readme_figure(readouts, image, labels, title=HOSTILE, pixel_size_um=0.5),
        dose_curves(readouts.wells, RATIO),
        dna_histogram(readouts),
    ):
        assert figure_bytes(figure, dpi=40).startswith(PNG)


def test_files_by_their_ending_and_the_same_twice(tmp_path: Path) -> None:
    wells = plate().wells
    for name in ("a.svg", "b.svg", "a.png"):
        save_figure(plate_heatmap(wells, RATIO), tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.png").read_bytes().startswith(PNG)
    with pytest.raises(ConfigError, match=r"'a.pdf' does not end in .png or .svg"):
        save_figure(plate_heatmap(wells, RATIO), tmp_path / "a.pdf")


def test_outline_texts_are_read_back_as_the_polygons() -> None:
    letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
    polygons = [
        np.array([[5, 7], [5, 7], [6, 7], [6, 9]]),  # a step of nothing has no letters
        np.array([[4000, 3], [3900, 3], [3900, 70], [3931, 39]]),  # long steps are made in several
        np.array([[0, 0], [1, 1], [0, 2]]),
    ]
    texts = outline_texts(np.concatenate(polygons), [len(polygon) for polygon in polygons])
    for text, polygon in zip(texts, polygons, strict=True):
        codes = [letters.index(letter) for letter in text]
        places = [(64 * codes[0] + codes[1], 64 * codes[2] + codes[3])]
        for x, y in zip(codes[4::2], codes[5::2], strict=True):
            places.append((places[-1][0] + x - 32, places[-1][1] + y - 32))
        assert places[-1] == tuple(polygon[-1])
        assert {tuple(corner) for corner in polygon.tolist()} <= set(places)
        assert (np.abs(np.diff(places, axis=0)) <= 31).all()
    assert len(texts[0]) == 4 + 2 * 2


def test_the_pictured_field_is_the_first_flagged_one_else_that_of_median_count() -> None:
    fields = pd.DataFrame(
        {
            "Metadata_Well": ["B02", "B02", "B02", "A01", "A01", "A02", "A03"],
            "Metadata_Site": [0, 1, 2, 0, 1, 0, 0],
            "Status": ["ok", "ok", "ok", "empty", "ok", "failed", "ok"],
            "Count_Nuclei": [9, 1, 5, 0, 3, 0, 2],
            "Flags": ["", "", "", "", "", "blurred", None],
        }
    )
    assert pictured_fields(fields) == {"B02": 2, "A01": 1, "A03": 0}
    assert list(pictured_fields(fields)) == ["B02", "A01", "A03"]
    flagged = fields.assign(Flags=["", "blurred", "stain", "few_nuclei", "", "", ""])
    assert pictured_fields(flagged) == {"B02": 1, "A01": 0, "A03": 0}
    assert pictured_fields(fields.drop(columns="Flags")) == {"B02": 2, "A01": 1, "A03": 0}
