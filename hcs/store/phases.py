"""The phase table on disk: one Parquet part a well, hive-partitioned by plate and well as the nuclei are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import quote

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from hcs.store.folders import replacing_folder
from hcs.store.location import Location

FOLDER = "phases"


def write_phases(out: Location, plate: str, parts: Iterable[tuple[Sequence[tuple[str, int]], pd.DataFrame]]) -> None:
    """Replace ``OUT/phases`` by ``plate=P/well=B03/part.parquet`` of each well; ``parts`` are some wells with their
    numbers of rows, and the rows of these one well after another."""
    with replacing_folder(out / FOLDER) as folder:
        for wells, frame in parts:
            table = pa.Table.from_pandas(frame, preserve_index=False)
            first = 0
            for well, count in wells:
                path = folder / f"plate={quote(plate, safe='')}" / f"well={well}" / "part.parquet"
                path.parent.mkdir(parents=True)
                pq.write_table(table.slice(first, count), path, compression="zstd")
                first += count
