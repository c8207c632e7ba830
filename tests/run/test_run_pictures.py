"""The pictures of a page: the same whoever makes them, and made in any case."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

from helpers.run import Finished

import hcs
from hcs.report.cells import measured, scatter_cells
from hcs.report.pictures import PagePictures
from hcs.run.page import read_tables
from hcs.run.pictures import PicturesAhead


class Lost:
    """What a worker that is gone will never return."""

    def result(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "nobody waits for ever"
        raise TimeoutError


def elsewhere(call: Callable[[], Any]) -> Future[Any]:
    """What a worker makes of a call that travelled to it."""
    done: Future[Any] = Future()
    done.set_result(pickle.loads(pickle.dumps(call))())
    return done


def taken(finished: Finished, submit: Callable[[Callable[[], Any]], Any], *, remote: bool) -> PagePictures:
    results = hcs.open_results(finished.out)
    tables = read_tables(results)
    ahead = PicturesAhead(results, tables.frame("fields"), submit, out=finished.out if remote else None)
    cells = scatter_cells(tables, measured(tables.nuclei, exclude_border=True), pictured=ahead.pictured)
    assert cells is not None
    ahead.begin_nuclei(tables, cells.shown)
    pictures = ahead.taken(tables)
    assert pictures is not None
    return pictures


def test_pictures_are_the_same_whoever_makes_them(finished: Finished) -> None:
    with ThreadPoolExecutor(1) as aside:
        here = taken(finished, aside.submit, remote=False)
    results = hcs.open_results(finished.out)
    assert list(here.wells) == list(results.ledger()["Metadata_Well"])
    for name, well in here.wells.items():
        assert len(cast(list[str], well["outlines"])) == results.labels(name).max()
    assert here.crops
    assert len(here.sheets) == len(here.channels) == 2
    assert taken(finished, elsewhere, remote=True) == here
    assert taken(finished, lambda _: Lost(), remote=True) == here


def test_without_its_plate_a_page_has_no_pictures(finished: Finished) -> None:
    results = hcs.open_results(finished.out, plate="/nowhere.zarr")
    tables = read_tables(results)
    ahead = PicturesAhead(results, tables.frame("fields"), elsewhere)
    ahead.begin_nuclei(tables, None)
    assert ahead.taken(tables) is None


def test_a_worker_makes_pictures_without_pandas() -> None:
    code = "import sys, hcs.run.pictures; print({'pandas', 'torch', 'distributed'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
