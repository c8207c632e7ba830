"""The one list of tables: what is said of a table elsewhere is what the list says."""

from __future__ import annotations

import subprocess
import sys

from hcs.readout.tables import ALL_TABLES, READOUTS, TABLES, fixed_columns
from hcs.report.tables import ABSENT
from hcs.store.results.folder import Results


def test_a_table_is_asked_for_by_its_name_and_described_by_the_list() -> None:
    asked = {name for name in TABLES if name in vars(Results) or hasattr(Results, name)}
    assert {"wells", "compounds", "plate", "fields", "hits", "tracks", "timepoints"} <= asked
    for name in asked - {"nuclei", "phases"}:  # these two can be asked for in part, and say how
        assert getattr(Results, name).__doc__ == TABLES[name].rows


def test_names_are_told_once_and_columns_have_definitions() -> None:
    assert len(TABLES) == len(ALL_TABLES)
    assert set(READOUTS) < set(TABLES)
    assert set(ABSENT) - {"replicates"} < set(READOUTS)
    columns = fixed_columns(timed=False) | fixed_columns(timed=True)
    assert all(column.definition for found in columns.values() for column in found)
    assert all(len({column.name for column in found}) == len(found) for found in columns.values())


def test_the_list_needs_none_of_what_makes_the_tables() -> None:
    """`hcs.open_results` reads it at its start."""
    heavy = "{'scipy', 'numba', 'skimage', 'torch', 'zarr'} & set(sys.modules)"
    code = f"import sys, hcs.readout.tables; sys.exit(' '.join({heavy}) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
