"""The end of a run, rehearsed: readouts and report of a whole plate made of the few fields that were processed."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.plate.keys import FieldKey
from hcs.run.finish import finish
from hcs.run.pictures import Submit
from hcs.run.prepare import Prepared
from hcs.store.ledger import LedgerEntry, write_entry
from hcs.store.results import open_results
from hcs.store.table import write_part

_MOST_REPEATED = 2000
_PARTITION_COLUMNS = ("Metadata_Plate", "Metadata_Well", "Metadata_Site")


def time_finish(prepared: Prepared, done: list[LedgerEntry], *, submit: Submit) -> tuple[float, int]:
    """Seconds for the readouts of the whole plate, made of the fields that were processed, repeated with a little
    noise, beside idle workers that ``submit`` gives work; and the number of files that readouts and report make."""
    out = prepared.out
    nuclei = open_results(out).nuclei(wells=sorted({entry.field.partition("/")[0] for entry in done}))
    tables = {
        entry.field: {
            str(name): nuclei.loc[_rows(nuclei, FieldKey.parse(entry.field)), name].to_numpy()
            for name in nuclei.columns
            if name not in _PARTITION_COLUMNS
        }
        for entry in done
    }
    present = {entry.field for entry in done}
    repeated = [key for key in prepared.keys if str(key) not in present][:_MOST_REPEATED]
    noise = np.random.default_rng(0)
    for i, key in enumerate(repeated):
        like = done[i % len(done)]
        part = write_part(out, prepared.job.plate.name, key, _noisy(tables[like.field], noise))
        write_entry(out, replace(like, field=str(key), part_bytes=part.nbytes, part_crc32=part.crc32))
    folder = Path(str(out))
    before = sum(path.is_file() for path in folder.rglob("*"))
    began = time.perf_counter()
    finish(out, submit=submit)
    seconds = (time.perf_counter() - began) * len(prepared.keys) / (len(repeated) + len(done))
    return seconds, sum(path.is_file() for path in folder.rglob("*")) - before + 1


def _rows(nuclei: pd.DataFrame, key: FieldKey) -> NDArray[np.bool_]:
    return np.asarray((nuclei["Metadata_Well"] == str(key.well)) & (nuclei["Metadata_Site"] == key.field))


def _noisy(columns: dict[str, NDArray[Any]], noise: np.random.Generator) -> dict[str, NDArray[Any]]:
    """The columns, real numbers all multiplied by one factor near 1: wells are alike, not equal."""
    factor = float(np.exp(noise.normal(0.0, 0.05)))
    return {
        name: (values * values.dtype.type(factor)).astype(values.dtype) if values.dtype.kind == "f" else values
        for name, values in columns.items()
    }
