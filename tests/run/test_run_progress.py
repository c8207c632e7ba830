"""What is said while work goes on: plain lines where output is redirected, one live line on a terminal."""

from __future__ import annotations

import io

import pytest

from hcs.run.progress import Progress, quarters
from hcs.store.results.ledger import LedgerEntry


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("total", [1, 3, 4, 96, 1001])
def test_quarters_are_said_at_most_four_times_and_the_end_always(total: int) -> None:
    stream = io.StringIO()
    say = quarters("converted", stream)
    for done in range(1, total + 1):
        say(done, total)
    lines = stream.getvalue().splitlines()
    assert 1 <= len(lines) <= 4
    assert lines[-1] == f"converted {total}/{total} fields"


def test_redirected_progress_is_plain_lines_and_names_failures() -> None:
    stream = io.StringIO()
    progress = Progress({"A01": 1, "B02": 1}, done=5, stream=stream)
    progress.advance(LedgerEntry(field="A01/0", status="failed", reason="a chunk is damaged"))
    progress.advance(LedgerEntry(field="B02/0", status="ok", nuclei=1234))
    progress.finish()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "field A01/0 failed: a chunk is damaged"
    assert lines[-1].startswith("2/2 fields · 2/2 wells · ")
    assert "1,234 nuclei · 0:00 left · 5 done before · 1 failed" in lines[-1]
    assert "\r" not in stream.getvalue()


def test_a_terminal_gets_one_line_rewritten() -> None:
    stream = Terminal()
    progress = Progress({"A01": 2}, done=0, stream=stream)
    for field in range(2):
        progress.advance(LedgerEntry(field=f"A01/{field}", status="ok", nuclei=10))
    progress.finish()
    assert stream.getvalue().count("\n") == 1
    assert "\r\x1b[K2/2 fields · 1/1 wells" in stream.getvalue()
