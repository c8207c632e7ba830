"""`hcs report`: the tables and images of a results folder → report.html and figures/; of several → an overview."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from hcs.report.cells import measured, scatter_cells
from hcs.report.conditions import dna_histograms
from hcs.report.data import page_data
from hcs.report.html import render_report
from hcs.report.over_time import TRACE_COLUMNS, OverTime, over_time
from hcs.report.pictures import crop_side_px
from hcs.report.tables import ABSENT, KEYS, NUCLEUS_COLUMNS, PlateTables
from hcs.run.pictures import PicturesAhead, Submit, one_thread
from hcs.run.strips import film_strips
from hcs.store.atomic import write_text
from hcs.store.ownfiles import OwnFiles
from hcs.store.results.folder import Results, open_results
from hcs.store.results.record import RunRecord

if TYPE_CHECKING:
    from hcs.report.cells import Cells
    from hcs.report.conditions import Histograms


@dataclass(frozen=True, slots=True, kw_only=True)
class BegunReport:
    """A page of which all is known but pictures that others still make."""

    folder: Path
    results: Results
    settings: Mapping[str, Any]
    notes: tuple[str, ...]
    tables: PlateTables
    cells: Cells | None
    histograms: Histograms | None
    ahead: PicturesAhead | None


def write_report(folder: Path, *, pictures: bool = True, figures: bool = False) -> Path:
    """Write ``report.html`` of a results folder; return the page.

    With ``figures``, or where an earlier report left them, its charts go to ``figures/`` as PNG and SVG, which takes
    longer than the page.

    All comes from the folder's tables and records. Pictures of wells and nuclei are read from the plate, where it is
    still within reach and ``pictures`` is set; the numbers do not need them. Raises ResultsError where the folder holds
    no results or the page cannot be written.
    """
    with one_thread() as aside:
        return end_report(begin_report(folder, pictures=pictures, aside=aside), figures=figures)


def begin_report(
    folder: Path,
    *,
    pictures: bool = True,
    aside: Submit | None = None,
    ahead: PicturesAhead | None = None,
    nuclei: pd.DataFrame | None = None,
) -> BegunReport:
    """Read the tables of a results folder and begin the pictures of single nuclei; those of fields were begun
    ``ahead``, or ``aside`` makes them.

    ``nuclei`` are all rows of the nucleus table with at least ``report_columns``, which are else read.
    """
    results = open_results(folder)
    settings, notes = last_readouts(results)
    at_once = results.at_timepoint(settings.get("timepoint", "last")).as_of_now()
    tables = read_tables(at_once, nuclei)
    shown = measured(tables.nuclei, exclude_border=bool(settings.get("exclude_border", True)))
    if ahead is None and pictures and aside is not None:
        ahead = PicturesAhead(at_once, tables.frame("fields"), aside)
    cells = scatter_cells(tables, shown, pictured=ahead.pictured if ahead else {})
    if ahead is not None:
        ahead.begin_nuclei(tables, None if cells is None else cells.shown)
    return BegunReport(
        folder=folder,
        results=results,
        settings=settings,
        notes=notes,
        tables=tables,
        cells=cells,
        histograms=dna_histograms(tables, shown),
        ahead=ahead,
    )


def end_report(begun: BegunReport, *, figures: bool = False) -> Path:
    """Write the page, and its ``figures`` as `write_report` does."""
    folder, tables, settings = begun.folder, begun.tables, begun.settings
    live = settings.get("live", {})
    light = live.get("stimulus_min"), live.get("light_off_min")
    time = time_section(begun.results, tables, pictures=begun.ahead is not None, light=light)
    taken = begun.ahead.taken(tables) if begun.ahead else None
    data = page_data(tables, histograms=begun.histograms, cells=begun.cells, pictures=taken, time=time)
    provenance = provenance_texts(tables.record, folder) | {"Readout settings": settings}
    page = render_report(tables, data, notes=begun.notes, provenance=provenance)
    write_text(folder / "report.html", page)
    if figures or (folder / "figures").is_dir():
        _write_figures(folder / "figures", tables, begun.histograms, begun.cells)
    return folder / "report.html"


def read_tables(results: Results, nuclei: pd.DataFrame | None = None) -> PlateTables:
    """All tables of a results folder that are there, the ``nuclei`` if they are not given; ResultsError where one is
    damaged."""
    frames = {name: results.table(name) for name in ABSENT if results.has(name)}
    frames.setdefault("fields", results.ledger())
    return PlateTables(
        plate=results.record.plate,
        frames=frames,
        nuclei=_nuclei(results, nuclei),
        record=results.record,
        dictionary=results.columns() if results.readouts() else pd.DataFrame(),
    )


def time_section(
    results: Results, tables: PlateTables, *, pictures: bool, light: tuple[float | None, float | None] = (None, None)
) -> OverTime | None:
    """What the page shows of a plate with time; None of one without. ``pictures`` asks for film strips; ``light`` is
    when a stimulus comes, and when it ends, min."""
    record = results.record
    if record.time is None:
        return None
    tracks = results.tracks() if results.has("tracks") else pd.DataFrame()
    stored = results.stored_columns() if len(tracks) else ()
    columns = [name for name in TRACE_COLUMNS if name in stored]
    strips = film_strips(results, tracks, crop_side_px(tables.nuclei)) if pictures and len(tracks) else {}
    named = ("frames", "zprime_time", "windows")
    response, zprime, windows = (results.table(n) if results.has(n) else pd.DataFrame() for n in named)
    return over_time(
        results.parts().by_well(columns) if len(tracks) else (),
        tracks,
        tables.frame("wells"),
        frames=record.usual_frames,
        times=record.frame_times,
        response=response,
        zprime=zprime,
        windows=windows,
        strips=strips,
        light=light,
    )


def report_columns(stored: Iterable[str]) -> list[str]:
    """Those of the ``stored`` columns of the nucleus table that the report shows."""
    known = set(stored)
    saturated = sorted(name for name in known if name.startswith("Nuclei_Flag_SaturatedPixels"))
    return [name for name in (*NUCLEUS_COLUMNS, *saturated) if name in known]


def _nuclei(results: Results, read: pd.DataFrame | None) -> pd.DataFrame:
    """The nuclei with the columns that the report shows, and their phases."""
    if not results.has_nuclei:
        return pd.DataFrame(columns=list(NUCLEUS_COLUMNS))
    wanted = report_columns(results.stored_columns())
    nuclei = results.with_content_n(results.nuclei(columns=wanted) if read is None else read[wanted])
    nuclei["Metadata_Well"] = nuclei["Metadata_Well"].astype(str)
    phases = _phases(results)
    return nuclei if phases.empty else nuclei.merge(phases, on=list(KEYS), how="left")


def _phases(results: Results) -> pd.DataFrame:
    """The text columns of phases/ (phase, gate, sensor phase) by nucleus."""
    stored = results.phase_columns()
    if not stored:
        return pd.DataFrame()
    table = results.phases(columns=[name for name in stored if not name.startswith(("Metadata_Plate", "Probability_"))])
    texts = [c for c in table.columns if not pd.api.types.is_numeric_dtype(table[c]) and c not in KEYS]
    return table[[*KEYS, *texts]].drop_duplicates(list(KEYS))


def last_readouts(results: Results) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Settings and notes of the readouts as they were last made; the run's settings where they never were."""
    readouts = results.readouts()
    if readouts is None:
        return results.record.identity["config"].get("readout", {}), ()
    return readouts.settings, readouts.notes


def _write_figures(folder: Path, tables: PlateTables, histograms: Histograms | None, cells: Cells | None) -> None:
    """Each figure as PNG and SVG; figures of an earlier report that this one has no more are deleted, files of others
    left as they are."""
    from hcs.report.figures import figure_bytes  # noqa: PLC0415  matplotlib, which the page does without, takes a second
    from hcs.report.plots import plate_figures  # noqa: PLC0415

    figures = plate_figures(tables, histograms=histograms, cells=cells)
    own, names = OwnFiles(folder), [f"{name}.{kind}" for name in figures for kind in ("png", "svg")]
    own.check(names, way_out="move them away")
    for name, figure in figures.items():
        own.put(f"{name}.png", figure_bytes(figure, dpi=150))
        figure.set_layout_engine("none")  # laid out already; doing it again takes as long as all the rest
        own.put(f"{name}.svg", figure_bytes(figure, kind="svg", dpi=150))
    own.drop(set(own.known) - set(names))


def _in_place(images_from: Mapping[str, Any]) -> str:
    return f"{images_from['folder']} ({images_from['layout']}), read in place"


def _named(model: Mapping[str, Any]) -> str:
    numbers = [f"calculated in {model['arithmetic']}"] if model.get("arithmetic") else []
    return ", ".join([str(model["name"]), f"sha256 {model['sha256']}", *numbers])


def provenance_texts(record: RunRecord, folder: Path) -> dict[str, object]:
    """Where the numbers come from, and how to make them again."""
    channels, model = record.channels, record.model
    dna, sensor = channels.dna or "none", channels.sensor or "none"
    roles = f"nuclei found in {channels.nuclei}; stain of DNA: {dna}; sensor: {sensor}"
    texts: dict[str, object] = {
        "Command": record.command,
        "This page again": shlex.join(["hcs", "report", str(folder)]),
        "Plate": record.plate_path if record.images_from is None else _in_place(record.images_from),
        "Model": _named(model),
        **({} if record.cells_model is None else {"Model of whole cells": _named(record.cells_model)}),
        "Channels": f"{', '.join(channels.names)} ({roles})",
        "Machine": ", ".join(f"{k} {v}" for k, v in record.machine.items()),
        "Versions": ", ".join(f"{k} {v}" for k, v in record.versions.items()),
    }
    if record.plate_map is not None:
        texts["Plate map"] = f"{record.plate_map['source']}, sha256 {record.plate_map['sha256']}"
    if record.times is not None:
        texts["Time"] = f"{record.times['started']}, {record.times['wall_s']} s"
    hashes = {k: v for k, v in record.identity.items() if k.endswith("sha256") and v}
    config = {name: value for name, value in record.identity["config"].items() if name != "readout"}
    return texts | {"Hashes": hashes, "Configuration of the run": config}
