"""The floors of the house: a room imports from lower floors only, pure rooms do no I/O, no imports go in a circle."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "hcs"

FLOORS = (
    ("errors", "clock", "machine"),
    ("columns",),
    ("plate",),
    ("tiles",),
    ("measure",),
    ("tracks",),
    ("simulate",),
    ("evaluate",),
    ("segment",),
    ("readout",),
    ("config",),
    ("pipeline",),
    ("store",),
    ("train",),
    ("report",),
    ("field",),
    ("engine",),
    ("run",),
    ("commands",),
    ("cli",),
)
"""From the ground up. Rooms of one floor do not import each other."""

PURE = ("columns", "plate", "tiles", "measure", "tracks", "readout", "simulate", "evaluate")
IO_MODULES = {"zarr", "dask", "distributed", "pyarrow", "os", "pathlib", "torch"}
DASK = {"dask", "distributed", "dask_cuda", "dask_jobqueue"}
ROOF = {"__init__", "__main__"}
"""What users type stands above all floors."""


def name_of(path: Path) -> str:
    """Dotted name of a module, such as ``hcs.plate.keys``."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it; of hcs the module that holds the name."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name in MODULES else node.module for name in inner}
    return names


IMPORTS = {name: imported(path) for name, path in MODULES.items()}


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def outside(module: str) -> set[str]:
    """Top-level packages that a module imports."""
    return {name.partition(".")[0] for name in IMPORTS[module]}


def modules(*rooms: str) -> list[str]:
    return [name for name in MODULES if room(name) in rooms]


def floor_of(module: str) -> int:
    found = [number for number, rooms in enumerate(FLOORS) if room(module) in rooms]
    assert found, f"{module} is on no floor: add its room to FLOORS"
    return found[0]


@pytest.mark.parametrize("module", [name for name in MODULES if room(name) not in ROOF])
def test_a_room_imports_lower_floors_only(module: str) -> None:
    ours = {name for name in IMPORTS[module] if name.startswith("hcs.") and name != "hcs.__version__"}
    upward = {name for name in ours if room(name) != room(module) and floor_of(name) >= floor_of(module)}
    assert not upward


def test_no_imports_go_in_a_circle() -> None:
    inside = {name for name in MODULES if room(name) not in ROOF}
    left = {name: IMPORTS[name] & inside for name in inside}
    while free := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in free:
            del left[name]
    assert not left


@pytest.mark.parametrize("module", modules(*PURE))
def test_pure_rooms_do_no_io(module: str) -> None:
    assert not outside(module) & IO_MODULES


def test_workers_link_without_pandas() -> None:
    assert not [name for name in modules("tracks") if "pandas" in outside(name)]


def test_torch_is_named_in_segment_and_train_only() -> None:
    assert {room(name) for name in MODULES if "torch" in outside(name)} <= {"segment", "train"}


def test_dask_is_named_in_the_engine_only() -> None:
    assert {room(name) for name in MODULES if outside(name) & DASK} == {"engine"}


def test_the_pipeline_knows_no_paths_and_no_dask() -> None:
    assert not outside("hcs.pipeline") & (IO_MODULES - {"torch"})


def test_a_slice_of_a_file_says_why_it_is_alone() -> None:
    """A file is a noun: below 60 lines its docstring explains it, above 400 too. A room's settings and a command of its
    own are reason enough."""
    silent = []
    for name, path in MODULES.items():
        text = path.read_text(encoding="utf-8")
        lines = len(text.splitlines())
        words = len((ast.get_docstring(ast.parse(text)) or "").split())
        explained = path.name in {"__init__.py", "__main__.py", "settings.py"} or room(name) in {"cli", "commands"}
        if not explained and (lines < 60 or lines > 400) and words < 12:
            silent.append((name, lines))
    assert not silent
