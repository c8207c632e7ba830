"""The report in a real browser: draws, is quick, asks for nothing, answers clicks and keys, runs no stranger's text."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.browser import Browser, Tab
from helpers.report import FAILED

from hcs.commands.report import report_results
from hcs.plate.times import FrameTimes
from hcs.report.over_time import LABEL, RATIO, SITE, TIMEPOINT, OverTime, over_time
from hcs.report.style import number


@pytest.fixture
def tab(browser: Browser, results: Path) -> Tab:
    tab = browser.open(results / "report.html")
    tab.wait("'ready' in document.documentElement.dataset")
    return tab


def test_it_draws_and_asks_for_nothing(tab: Tab) -> None:
    assert tab.run("document.querySelectorAll('.plate .well').length") == 24
    assert tab.run("document.querySelectorAll('svg.chart').length") > 10
    for section in ("plate", "assay", "attribution", "doses", "cycle", "cells", "quality", "ledger"):
        assert tab.run(f"document.querySelector('#{section}-body').children.length") > 0
    assert tab.complaints == []
    assert tab.requests == []


def test_hostile_names_stay_text(tab: Tab) -> None:
    assert tab.run("window.hacked === undefined")
    assert tab.dialogs == 0
    assert tab.run("document.querySelectorAll('script').length") == 2
    assert tab.run("document.querySelectorAll('img[src=x]').length") == 0
    assert tab.run("document.body.innerText.includes('<script>window.hacked=1')")
    assert tab.run("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_click_shows_the_well(tab: Tab) -> None:
    box = tab.run(
        "(() => { const w = document.querySelector('.well[data-well=C02]'); w.scrollIntoView({block: 'center'});"
        "const b = w.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()"
    )
    tab.click(*box)
    panel = "document.querySelector('#well-panel')"
    assert tab.run(f"{panel}.querySelector('h3').textContent") == "Well C02"
    assert tab.run(f"{panel}.querySelectorAll('.frame path').length") > 3
    tab.wait(f"{panel}.querySelector('img').naturalWidth > 100")
    assert tab.run(f"{panel}.querySelector('.legend').textContent.length") > 0
    assert tab.run(f"{panel}.querySelector('table').tBodies[0].rows.length") == 1
    assert tab.complaints == []


def test_outlines_and_channel_can_be_chosen(tab: Tab) -> None:
    panel = "document.querySelector('#well-panel')"
    first = tab.run(f"{panel}.querySelector('img').src.length")
    change = "s.dispatchEvent(new Event('change'))"
    tab.run(f"(() => {{ const s = {panel}.querySelectorAll('select')[0]; s.value = '1'; {change}; }})()")
    assert tab.run(f"{panel}.querySelector('img').src.length") != first
    tab.run(f"(() => {{ const s = {panel}.querySelectorAll('select')[1]; s.value = 'none'; {change}; }})()")
    assert tab.run(f"{panel}.querySelectorAll('.frame path').length") == 0


def test_wells_are_reached_by_keys(tab: Tab) -> None:
    tab.run("document.querySelector('.well[tabindex=\"0\"]').focus()")
    start = tab.run("document.activeElement.dataset.well")
    tab.key("ArrowDown")
    moved = tab.run("document.activeElement.dataset.well")
    assert (start[0], moved[0]) in {("A", "B"), ("B", "C"), ("C", "D")}
    assert start[1:] == moved[1:]
    tab.key("Enter")
    assert tab.run("document.querySelector('#well-panel h3').textContent") == f"Well {moved}"
    assert tab.run("document.querySelector('#tip').textContent").startswith(moved)


def test_hover_says_well_compound_dose_value_and_n(tab: Tab, results: Path) -> None:
    tab.run("document.querySelector('.well[data-well=C02]').dispatchEvent(new PointerEvent('pointerenter'))")
    text = tab.run("document.querySelector('#tip').innerText")
    row = pd.read_parquet(results / "wells.parquet").set_index("Metadata_Well").loc["C02"]
    assert text.startswith("C02, sample")
    assert f"{number(row['Metadata_Dose'])} uM" in text
    assert f"Mean sensor ratio: {number(row['Mean_Nuclei_Sensor_Ratio'], 4)}" in text
    assert f"n = {row['Count_Nuclei_Measured']}" in text


def test_a_region_of_the_scatter_shows_its_nuclei(tab: Tab) -> None:
    tab.run("document.querySelector('canvas.scatter').focus()")
    before = tab.run("document.querySelector('.gallery h4').textContent")
    for _ in range(12):
        tab.key("ArrowLeft")
    tab.key("Enter")
    assert tab.run("document.querySelector('.gallery h4').textContent") != before
    region = tab.run("(() => { const c = document.querySelector('canvas.scatter'); return c.clientWidth > 200; })()")
    assert region
    data = tab.run("JSON.stringify(JSON.parse(document.getElementById('data').textContent).cells.shown.region)")
    fullest = pd.Series(json.loads(data)).value_counts()
    assert fullest.iloc[0] <= 40
    assert tab.complaints == []


def test_every_displayed_number_is_the_one_in_the_parquet(tab: Tab, results: Path) -> None:
    tab.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    tab.wait("document.querySelectorAll('details table').length >= 4")
    tab.run("document.querySelectorAll('.more button').forEach((b) => b.click())")
    cells = tab.run(
        "[...document.querySelectorAll('table[data-table] td[data-key]')].map((c) => ({"
        "table: c.closest('table').dataset.table, key: c.dataset.key, row: Number(c.dataset.row), "
        "value: c.dataset.value, text: c.textContent, number: c.classList.contains('n')}))"
    )
    frames = {path.stem: pd.read_parquet(path) for path in results.glob("*.parquet")}
    seen = {cell["table"] for cell in cells}
    assert {"wells", "assay", "attribution", "doses", "hits", "cycles", "fields", "compounds"} <= seen
    checked = 0
    for cell in cells:
        frame = frames[cell["table"]]
        if cell["key"] not in frame or not cell["number"]:
            continue
        checked += 1
        assert_shows(frame[cell["key"]].iloc[cell["row"]], cell)
    assert checked > 2000


def assert_shows(true: Any, cell: dict[str, Any]) -> None:
    """The cell's value is the table's, to the last bit, and its text the first three digits of it or so."""
    if pd.isna(true):
        assert cell["value"] == ""
        return
    if math.isinf(true):
        assert cell["value"] in ("inf", "-inf")
        return
    assert float(cell["value"]) == float(true)
    shown = cell["text"].split(" (")[0].replace(",", "").replace("−", "-")
    part, unit = (shown[:-2], 100.0) if shown.endswith(" %") else (shown, 1.0)
    assert float(part) / unit == pytest.approx(float(true), rel=6e-3, abs=6e-3)


def test_the_failed_well_is_named(tab: Tab) -> None:
    card = tab.run("document.querySelector('.answers').innerText")
    assert f"{FAILED}\nfailed: field 0: its chunk 0/0 is damaged <b>" in card
    tab.run(f"document.querySelector('.chips button[data-well={FAILED}]').click()")
    assert tab.run("document.querySelector('#well-panel h3').textContent") == f"Well {FAILED}"


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (400, False), (400, True)])
def test_it_fits_the_window(browser: Browser, results: Path, width: int, dark: bool) -> None:
    tab = browser.open(results / "report.html", width=width, dark=dark)
    tab.wait("'ready' in document.documentElement.dataset")
    assert tab.run("document.documentElement.scrollWidth") <= width
    paper = tab.run("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(17, 20, 23)") == dark


def test_everything_has_a_name(tab: Tab) -> None:
    nameless = tab.run(
        "[...document.querySelectorAll('img:not([alt]), svg.chart:not([aria-label]), svg.plate:not([aria-label]), "
        ".well:not([aria-label]), canvas.scatter:not([aria-label])')].length"
    )
    assert nameless == 0
    assert tab.run("[...document.querySelectorAll('select, input')].every((s) => s.labels.length || s.ariaLabel)")
    assert tab.run("[...document.querySelectorAll('button')].every((b) => b.innerText.trim() || b.ariaLabel)")


def test_several_plates_have_an_overview(browser: Browser, results: Path, tmp_path: Path) -> None:
    page, own = tmp_path / "overview.html", tmp_path / "results"
    shutil.copytree(results, own)  # which gets figures now
    report_results([own, own], page, pictures=False, say=lambda _: None)
    tab = browser.open(page)
    tab.wait("'ready' in document.documentElement.dataset")
    table = "document.querySelector('table[data-table=plates]')"
    assert tab.run(f"{table}.tBodies[0].rows.length") == 2
    assert tab.run(f"{table}.querySelector('a').href").endswith("/results/report.html")
    assert tab.run("document.querySelectorAll('#trends-body svg.chart').length") == 3
    assert tab.run("document.querySelectorAll('#replicates-body tbody tr').length") > 0
    assert tab.complaints == []
    assert tab.requests == []
    assert tab.run("window.hacked === undefined")


MINUTES = (0.0, 10.0, 40.0, 100.0, 160.0)


def movie() -> OverTime:
    """Frames that are not evenly apart, light from the third to the fourth, a mother of the first two and two
    daughters."""
    rows = [(frame, label) for label, frames in ((1, (0, 1)), (2, (2, 3, 4)), (3, (2, 3, 4))) for frame in frames]
    nuclei = pd.DataFrame(rows, columns=[TIMEPOINT, LABEL]).assign(**{SITE: 0, RATIO: 0.5})
    tracks = pd.DataFrame(
        [
            (1, 0, 1, 0, 1, 2, "start", "divided"),
            (2, 1, 1, 2, 4, 3, "divided", "end"),
            (3, 1, 1, 2, 4, 3, "divided", "end"),
        ],
        columns=[
            f"Track_{n}" for n in ("Label", "Parent", "Lineage", "FirstFrame", "LastFrame", "Frames", "Began", "Ended")
        ],
    ).assign(Metadata_Well="A01", Metadata_Site=0, Track_Quality=1.0, Track_AreaJumps=0, Track_Gaps=0)
    none = pd.DataFrame()
    return over_time(
        [("A01", nuclei)],
        tracks,
        pd.DataFrame({"Metadata_Well": ["A01"]}),
        frames=5,
        times=FrameTimes(None, MINUTES),
        response=none,
        zprime=none,
        windows=none,
        strips={},
        light=(40.0, 100.0),
    )


def test_a_movie_is_drawn_at_its_own_times(browser: Browser, results: Path, tmp_path: Path) -> None:
    page = (results / "report.html").read_text(encoding="utf-8")
    assert page.count('"time":null') == 1
    timed = page.replace('"time":null', f'"time":{json.dumps(movie().data())}')
    timed = timed.replace("<script", '<div id="time-body"></div><script', 1)  # as the page of a plate with time has it
    (tmp_path / "report.html").write_text(timed, encoding="utf-8")
    tab = browser.open(tmp_path / "report.html")
    tab.wait("'ready' in document.documentElement.dataset")
    line = tab.run("document.querySelector('#time-body .trace.median').getAttribute('d')")
    x = [float(point.split(" ")[0]) for point in line.replace("L", "M").split("M")[1:]]
    assert [(at - x[0]) / (x[-1] - x[0]) for at in x] == pytest.approx([at / MINUTES[-1] for at in MINUTES], abs=1e-3)
    light = {
        name: float(tab.run(f"document.querySelector('#time-body .light').getAttribute('{name}')"))
        for name in ("x", "width")
    }
    assert light == pytest.approx({"x": x[2], "width": x[3] - x[2]}, abs=0.1)
    ends = tab.run(
        "[...document.querySelectorAll('#time-body .branch')].map((l) => [l.getAttribute('x1'), l.getAttribute('x2')])"
    )
    assert ends[0][1] == ends[1][0], "the mother is drawn until her daughters begin"
    assert tab.complaints == []
