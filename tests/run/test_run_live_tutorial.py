"""The tutorial on plates with time, executed as a reader would: simulate, run over workers, read."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
from helpers.run import Shown, call_hcs, table_bytes
from helpers.timed import measure_here

import hcs

PAGE = Path(__file__).resolve().parents[2] / "docs" / "live-cell.md"
BLOCK = re.compile(r"<!-- executed -->\n```(sh|python)\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Shown], dict[str, object]]:
    """Folder, what each command showed, and the names that the Python code left."""
    folder = tmp_path_factory.mktemp("tutorial")
    shown: list[Shown] = []
    names: dict[str, object] = {}
    for language, code in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if language == "sh":
            shown.append(call_hcs(*shlex.split(code)[1:], cwd=folder))
            assert shown[-1].code == 0, shown[-1].err
            continue
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            exec(compile(code, "tutorial", "exec"), names)
    return folder, shown, names


def test_the_run_says_what_the_page_says(done: tuple[Path, list[Shown], dict[str, object]]) -> None:
    _, (_, run, status), _ = done
    page = PAGE.read_text(encoding="utf-8")
    first = [line for line in run.out.splitlines() if line.startswith(("movie: 2 wells, ", "  time "))]
    assert len(first) == 2
    assert all(line in page for line in first)
    assert "16/16 frames" in run.err
    assert "16 frames: 16 done, 0 failed, 0 pending" in status.out


def test_the_files_that_the_page_lists_are_there(done: tuple[Path, list[Shown], dict[str, object]]) -> None:
    folder, _, names = done
    results = hcs.open_results(folder / "results")
    for table in ("tracks", "timepoints", "frames", "cycles_live", "zprime_time", "windows"):
        assert f"`{table}.parquet`" in PAGE.read_text(encoding="utf-8")
        assert isinstance(results.table(table), pd.DataFrame)
        assert table in set(results.columns()["table"])
    assert {"Live_CycleMin", "Fraction_LiveReentered", "Live_GrowthPerDay"} <= set(results.wells())
    assert {"Live_GrowthPerDay"} <= set(results.plate()["Readout"])
    image, labels = names["image"], names["labels"]
    assert image.shape == labels.shape == (128, 128)  # type: ignore[attr-defined]


def test_the_page_of_results_shows_time(done: tuple[Path, list[Shown], dict[str, object]]) -> None:
    page = (done[0] / "results" / "report.html").read_text(encoding="utf-8")
    assert '<div id="time-body"></div>' in page
    assert '"strips":{"A01":{"image":"data:image/webp;base64,' in page


def test_workers_give_the_same_bytes_as_one_process(
    done: tuple[Path, list[Shown], dict[str, object]], tmp_path: Path
) -> None:
    folder = done[0]
    measure_here(folder / "movie.zarr", tmp_path / "out", plate_map=folder / "movie.platemap.csv")
    assert table_bytes(tmp_path / "out") == table_bytes(folder / "results")
    both = [hcs.open_results(out).track_parts().read() for out in (tmp_path / "out", folder / "results")]
    pd.testing.assert_frame_equal(both[0], both[1])
