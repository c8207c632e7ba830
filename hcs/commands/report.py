"""`hcs report`: the page of each results folder, and the overview of several."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

import pandas as pd

from hcs.readout.screen.replicates import replicate_correlation
from hcs.report.overview import PlateOfMany, render_overview
from hcs.run.page import last_readouts, read_tables, write_report
from hcs.store.atomic import write_text
from hcs.store.location import Location
from hcs.store.mirror import local_copy
from hcs.store.results.folder import Results, open_results


def report_results(
    places: Sequence[Location], overview: Path, *, pictures: bool, say: Callable[[str], None] = print
) -> None:
    """Write page and figures of every results folder; of two or more also the page ``overview``.

    ResultsError where a folder holds no results, before anything is written.
    """
    for place in places:
        open_results(place)
    plates = []
    for place in places:
        with local_copy(place) as folder:
            write_report(folder, pictures=pictures, figures=True)
            if len(places) > 1:
                plates.append(PlateOfMany(read_tables(_shown(folder)), _link(place, overview)))
        say(f"Report    {place / 'report.html'}")
        say(f"Figures   {place / 'figures'}/")
    if len(places) > 1:
        write_text(overview, render_overview(plates, _replicates(plates)))
        say(f"Overview  {overview}")


def _shown(folder: Path) -> Results:
    """The results that tables of wells were made of: all, or of a plate with time those of one frame."""
    results = open_results(folder)
    return results.at_timepoint(last_readouts(results)[0].get("timepoint", "last"))


def _link(place: Location, overview: Path) -> str:
    """Address of a plate's report, relative to the overview's page where both are on disk."""
    if not isinstance(place, Path):
        return str(place / "report.html")
    return quote(os.path.relpath(place.absolute() / "report.html", overview.absolute().parent))


def _replicates(plates: Sequence[PlateOfMany]) -> pd.DataFrame:
    """Correlation of the plates' conditions on the readouts that all of them have."""
    wells = [plate.tables.frame("wells") for plate in plates]
    if any(frame.empty or "Metadata_Role" not in frame for frame in wells):
        return pd.DataFrame()
    shared = [name for name in plates[0].tables.readouts if all(name in frame for frame in wells)]
    return replicate_correlation(wells, shared)
