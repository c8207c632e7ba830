"""Damaged results: every command says which file and what to do, none believes it, `hcs run` makes it again."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from damage import Case, cases, litter
from helpers.run import Finished, call_hcs, table_bytes

import hcs
from hcs.cli import commands
from hcs.errors import HcsError
from hcs.plate.keys import FieldKey
from hcs.store.results.ledger import read_entry
from hcs.store.results.record import RunRecord

SEED = 17
QUICK, SLOW = 60, 12
"""Cases that are drawn for the quick commands, and for `readout` and `report`."""


def call(*arguments: object) -> tuple[int, str]:
    """Exit code and text of a command, as `hcs.cli.main` gives them; what is no HcsError is raised."""
    done = CliRunner().invoke(commands, [*map(str, arguments)], standalone_mode=False)
    if isinstance(done.exception, HcsError):
        return 2, str(done.exception)
    if done.exception is not None:
        raise done.exception
    return int(done.return_value or 0), done.output


def is_field(name: str) -> bool:
    return name.startswith(("nuclei/", "ledger/"))


def noticed(shown: tuple[int, str], case: Case) -> bool:
    """Whether a command ended with a sentence that names the file (the entry of a field, where that is damaged)."""
    code, text = shown
    return code != 0 and (Path(case.file).name in text or case.file in text)


def check_quick(out: Path, case: Case) -> None:
    """What `status`, `status --verify`, `export` and `open_results` make of a damaged file."""
    assert noticed(call("status", out, "--verify"), case)
    code, text = call("status", out)
    whole = case.damage in ("has a bit flipped", "is another's") and case.file.startswith("nuclei/")
    if case.file == "run.json" or (is_field(case.file) and not whole):
        assert noticed((code, text), case)
    exported = out.parent / "exported.csv"
    if is_field(case.file) or case.file == "run.json":
        assert noticed(call("export", out, "--csv", exported, "--table", "nuclei"), case)
        with pytest.raises(HcsError, match=r"again|copy|give the --out folder"):
            hcs.open_results(out).nuclei()
    elif case.file.startswith("phases/"):
        assert noticed(call("export", out, "--csv", exported, "--table", "phases"), case)
    elif case.file.endswith(".parquet"):
        assert noticed(call("export", out, "--csv", exported, "--table", Path(case.file).stem), case)
    elif case.file == "columns.csv":
        with pytest.raises(HcsError, match=r"columns\.csv .*`hcs readout"):
            hcs.open_results(out).columns()
    assert not exported.exists()


def check_slow(out: Path, case: Case) -> None:
    """`report` needs all but the plate map; `readout` says what it needs, and makes again what it makes."""
    if (case.file != "platemap.csv" and case.damage != "is missing") or is_field(case.file):
        assert noticed(call("report", out, "--no-pictures"), case)
    given = is_field(case.file) or case.file in ("run.json", "platemap.csv")
    if given:
        assert noticed(call("readout", out), case)
    elif case.damage != "is a folder":
        assert call("readout", out)[0] == 0
        assert call("status", out, "--verify")[0] == 0


@pytest.mark.parametrize(("check", "count"), [(check_quick, QUICK), (check_slow, SLOW)], ids=["quick", "slow"])
def test_no_damage_is_believed(
    finished: Finished, tmp_path: Path, check: Callable[[Path, Case], None], count: int
) -> None:
    chance = random.Random(SEED)
    every = list(cases(finished.out))
    assert len(every) > 300
    for case in chance.sample(every, count):
        out = tmp_path / "results"
        shutil.copytree(finished.out, out)
        case.do(out, chance)
        try:
            check(out, case)
        except Exception as error:
            raise AssertionError(f"{case}: {error}") from error
        shutil.rmtree(out)


def test_foreign_files_are_passed_over(finished: Finished, tmp_path: Path) -> None:
    out = tmp_path / "results"
    shutil.copytree(finished.out, out)
    before = hcs.open_results(out)
    nuclei, phases = before.nuclei(), before.phases()
    count = litter(out)
    after = hcs.open_results(out)
    assert after.nuclei().equals(nuclei)
    assert after.phases().equals(phases)
    assert after.dataset().count_rows() == len(nuclei)
    code, text = call("status", out, "--verify")
    assert code == 0
    assert "that hcs did not write are passed over" in text
    assert "A01_0000 2.json" in text
    assert "none damaged" in text
    assert count > 100
    assert call("readout", out)[0] == 0
    assert len(hcs.open_results(out).wells()) == 6


def test_only_what_is_damaged_is_done_again(finished: Finished, tmp_path: Path) -> None:
    out = tmp_path / "results"
    shutil.copytree(finished.out, out)
    parts = sorted((out / "nuclei").rglob("*.parquet"))
    data = bytearray(parts[0].read_bytes())
    data[len(data) // 2] ^= 1
    parts[0].write_bytes(data)
    parts[1].unlink()
    (out / "ledger" / "B01_0000.json").write_text("{}")
    shutil.copy(parts[4], parts[5])
    untouched = {path: path.stat().st_mtime_ns for path in parts[2:3]}
    code, text = call("status", out, "--verify")
    assert (code, "4 damaged" in text) == (1, True)
    plate = finished.files.plate
    shown = call_hcs("run", plate, "--out", out, "--plate-map", finished.files.plate_map, "--workers", 1)
    assert shown.code == 0, shown.err
    assert "4/4 fields" in shown.err
    assert table_bytes(out) == table_bytes(finished.out)
    assert {path: path.stat().st_mtime_ns for path in untouched} == untouched
    assert call("status", out, "--verify")[0] == 0


def test_another_runs_record_or_entries_are_not_believed(finished: Finished, tmp_path: Path) -> None:
    out = tmp_path / "results"
    shutil.copytree(finished.out, out)
    record = RunRecord.read(out)
    replace(record, run_id="0" * 16).write(out)
    entry = read_entry(out, FieldKey.parse("A01/0"), "0" * 16)
    assert (entry.status, "is of another run" in entry.reason) == ("pending", True)
    code, text = call("status", out)
    assert code == 1
    assert text.count("is of another run") == 6
    assert call("readout", out)[0] == 2
