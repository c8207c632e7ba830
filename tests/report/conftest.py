"""Results folders with their reports, and a browser to look at pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.browser import Browser, find_browser
from helpers.report import HOSTILE, make_results

from hcs.run.finish import finish


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium; tests that need it skip where it is not installed."""
    executable = find_browser()
    if executable is None:
        pytest.skip("chromium is not installed on this machine (apt-get install chromium)")
    browser = Browser(executable, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a plate whose every name is hostile, with their report; not to be changed."""
    out = make_results(tmp_path_factory.mktemp("plate"), text=HOSTILE)
    finish(out)
    return out
