"""A plate in a store, processed by worker processes into results in the store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from helpers.run import Finished, Hcs, call_hcs, table_bytes

import hcs as package
from hcs.commands.simulate import SimulationFiles
from hcs.store.location import Url


def upload(folder: Path, target: Url) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            (target / path.relative_to(folder).as_posix()).write_bytes(path.read_bytes())


def parts(out: Url) -> dict[str, bytes]:
    return {f"nuclei/{name}": (out / "nuclei" / name).read_bytes() for name in (out / "nuclei").files()}


def test_from_store_to_store_and_on_after_a_stop(
    s3: str, simulated: SimulationFiles, finished: Finished, hcs: Hcs
) -> None:
    plate, out = Url(f"{s3}/plates/tiny.zarr"), Url(f"{s3}/results/tiny")
    upload(simulated.plate, plate)
    run = ("run", plate, "--out", out, "--plate-map", simulated.plate_map, "--workers", 2)
    shown = call_hcs(*run)
    assert shown.code == 0, shown.err
    assert parts(out) == table_bytes(finished.out)

    (out / "ledger" / "A01_0000.json").unlink()
    (out / "nuclei" / "plate=tiny" / "well=A02" / "field-0000.parquet").write_bytes(b"half")
    again = call_hcs(*run)
    assert again.code == 0, again.err
    assert "2/2 fields" in again.err
    assert parts(out) == table_bytes(finished.out)
    assert "6 ok" in hcs("status", out).out or "1 empty" in hcs("status", out).out

    results, here = package.open_results(str(out)), package.open_results(finished.out)
    pd.testing.assert_frame_equal(results.nuclei(), here.nuclei())
    pd.testing.assert_frame_equal(results.wells(), here.wells())
    pd.testing.assert_frame_equal(results.compounds(), here.compounds())
    np.testing.assert_array_equal(results.labels("A01"), here.labels("A01"))
    np.testing.assert_array_equal(results.image("B01", channel=1), here.image("B01", channel=1))
    assert (out / "report.html").is_file()


def test_results_that_cannot_be_reached(hcs: Hcs, simulated: SimulationFiles, s3: str) -> None:
    shown = hcs("run", simulated.plate, "--out", "s3://no-such-bucket/results")
    assert shown.code == 2
    assert len(shown.err.strip().splitlines()) == 1
    assert "s3://no-such-bucket/results" in shown.err
    assert hcs("status", f"{s3}/nothing-here").code == 2
