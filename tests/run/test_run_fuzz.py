"""A few damaged and malicious plates: each ends well or in a sentence, and nothing else is touched."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FUZZ = Path(__file__).resolve().parents[2] / "benchmarks" / "fuzz.py"


def test_damaged_plates_end_in_a_sentence() -> None:
    command = [sys.executable, FUZZ, "--stores", "24", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "24 stores in" in done.stdout
    assert "sentence" in done.stdout
