"""The rooms keep to themselves: pure rooms do no I/O, and only named rooms name torch and dask."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "hcs"
PURE = ("plate", "tiles", "measure", "readout", "simulate", "evaluate")
IO_MODULES = {"zarr", "dask", "distributed", "pyarrow", "os", "pathlib", "torch"}


def imported(path: Path) -> set[str]:
    """Top-level packages a module imports, anywhere in it; modules of hcs by their full name."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name if name.startswith("hcs.") else name.partition(".")[0] for name in names}


def modules(*rooms: str) -> list[Path]:
    return sorted(path for room in rooms for path in (PACKAGE / room).rglob("*.py"))


def name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", modules(*PURE), ids=name)
def test_pure_rooms_do_no_io(path: Path) -> None:
    assert not imported(path) & IO_MODULES


@pytest.mark.parametrize("path", modules(*PURE), ids=name)
def test_pure_rooms_do_not_reach_into_rooms_that_do_io(path: Path) -> None:
    reached = {module.split(".")[1] for module in imported(path) if module.startswith("hcs.")}
    assert reached <= {*PURE, "errors"}


def test_torch_is_named_in_segment_and_train_only() -> None:
    users = {p.relative_to(PACKAGE).parts[0] for p in PACKAGE.rglob("*.py") if "torch" in imported(p)}
    assert users <= {"segment", "train"}


def test_dask_is_named_in_run_only() -> None:
    users = {
        p.relative_to(PACKAGE).parts[0]
        for p in PACKAGE.rglob("*.py")
        if imported(p) & {"dask", "distributed", "dask_cuda"}
    }
    assert users == {"run"}


def test_the_pipeline_knows_no_paths_and_no_dask() -> None:
    assert not imported(PACKAGE / "pipeline.py") & (IO_MODULES - {"torch"})
