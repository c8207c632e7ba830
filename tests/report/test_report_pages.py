"""Figures and the HTML page: they hold what the tables hold, whatever the tables hold."""

from __future__ import annotations

import math
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hcs.errors import ConfigError, ResultsError
from hcs.plate.keys import WellId
from hcs.readout.readouts import Readouts, make_readouts
from hcs.readout.settings import ReadoutSettings
from hcs.report.figures import (
    dna_histogram,
    dose_curves,
    figure_bytes,
    overlay_figure,
    plate_heatmap,
    readme_figure,
    save_figure,
)
from hcs.report.heatmap import plate_shape
from hcs.report.html import render_report, write_report
from hcs.report.overlay import outlined

PNG = b"\x89PNG"
HOSTILE = "<script>alert(\"1\")</script><img src=x onerror='y'> $\\frac{ \n\x00 \u202e漢" + "x" * 10_000
RATIO = "Mean_Nuclei_Sensor_Ratio"


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
    return make_readouts(nuclei, pd.DataFrame(fields), plate_map, ReadoutSettings(bootstrap=100), plate=text)


class Page(HTMLParser):
    """Tags, attributes and text of a page; fails on tags that are not closed."""

    void = frozenset({"meta", "img", "!doctype"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(readouts: Readouts, name: str = "P1", **provenance: object) -> Page:
    return Page(render_report(readouts, plate=name, provenance=provenance))


def test_report_holds_the_numbers_and_the_wells() -> None:
    readouts = plate()
    page = page_of(readouts, model="sha256:abc", config={"measure": {"ring_width_px": 5}})
    first = readouts.plate.iloc[0]
    assert f"{first['ZPrime']:.2f} ({first['ZPrime_Low']:.2f} to {first['ZPrime_High']:.2f})" in page.text
    assert "24 wells: 20 ok, 4 failed" in page.text
    assert "A06failed0 of 1field 0: drug" in page.text
    assert "sha256:abc" in page.text
    assert '"ring_width_px": 5' in page.text


def test_report_is_self_contained() -> None:
    page = page_of(plate())
    sources = [value for name, value in page.attributes if name in ("src", "href")]
    assert len(sources) == 3  # heat map, curves, DNA
    assert all(source and source.startswith("data:image/png;base64,") for source in sources)
    assert len([1 for name, value in page.attributes if name == "alt" and value]) == 3


def test_hostile_text_stays_text() -> None:
    page = page_of(plate(text=HOSTILE), HOSTILE, **{HOSTILE: HOSTILE, "config": {HOSTILE: [HOSTILE]}})
    assert "script" not in page.tags
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert '<script>alert("1")</script>' in page.text
    assert page.tags.count("img") == 3


@pytest.mark.parametrize(
    "options", [{"mapped": False}, {"usable": False}, {"lost": True}, {"lost": True, "mapped": False}]
)
def test_report_of_a_plate_with_something_missing(options: dict[str, bool]) -> None:
    readouts = plate(**options)  # type: ignore[arg-type]
    page = page_of(readouts)
    for note in readouts.notes:
        assert note in page.text
    if options.get("lost") or not options.get("usable", True):
        assert "No cell-cycle fractions" in page.text


def test_report_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    overlay = overlay_figure(np.zeros((20, 30)), np.zeros((20, 30), dtype=np.uint32))
    write_report(target, plate(), plate="P1", provenance={}, overlay=overlay)
    assert Page(target.read_text(encoding="utf-8")).tags.count("img") == 4
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(ResultsError, match="cannot be written"):
        write_report(tmp_path / "missing" / "report.html", plate(), plate="P1", provenance={})


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
