"""Benchmarks are commands: each starts alone, from the folder of the project, with what the README installs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

# each benchmark with the path it has as a command of its own; one process for all, for torch takes a second to import
_START = """
import runpy, sys
from pathlib import Path
whole = list(sys.path)
for file in sorted(Path("benchmarks").glob("*.py")) + sorted(Path("benchmarks/peers").glob("*.py")):
    sys.path[:] = [str(file.parent.resolve()), *whole]
    before = set(sys.modules)
    try:
        runpy.run_path(str(file), run_name="not main")
    except Exception as error:
        print(f"{file}: {type(error).__name__}: {error}")
    for name in set(sys.modules) - before:
        source = Path(getattr(sys.modules[name], "__file__", None) or "/")
        if any(source.is_relative_to(Path(folder).resolve()) for folder in ("benchmarks", "tests")):
            del sys.modules[name]
"""


def test_every_benchmark_finds_its_imports_when_run_alone() -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, "-c", _START],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
        env={**environment, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout == ""
