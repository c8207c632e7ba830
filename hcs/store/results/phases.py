"""The phase table on disk: one Parquet part a well, hive-partitioned by plate and well as the nuclei are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import quote

import pandas as pd
import pyarrow as pa

from hcs.store.folders import replacing_folder
from hcs.store.location import Location
from hcs.store.results.readout_record import PHASES
from hcs.store.results.sealed import Written
from hcs.store.results.table import parquet_bytes


def write_phases(
    out: Location, plate: str, parts: Iterable[tuple[Sequence[tuple[str, int]], pd.DataFrame]]
) -> dict[str, Written]:
    """Replace ``OUT/phases`` by ``plate=P/well=B03/part.parquet`` of each well; ``parts`` are some wells with their
    numbers of rows, and the rows of these one well after another. Returns what each part is known by, by its name in
    ``out``."""
    files: dict[str, Written] = {}
    with replacing_folder(out / PHASES) as folder:
        for wells, frame in parts:
            table = pa.Table.from_pandas(frame, preserve_index=False)
            first = 0
            for well, count in wells:
                path = folder / f"plate={quote(plate, safe='')}" / f"well={well}" / "part.parquet"
                path.parent.mkdir(parents=True)
                data = parquet_bytes(table.slice(first, count))
                path.write_bytes(data)
                files[f"{PHASES}/{path.relative_to(folder).as_posix()}"] = Written.of(data)
                first += count
    return files
