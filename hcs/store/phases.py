"""The phase table on disk: one Parquet part a well, hive-partitioned by plate and well as the nuclei are."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from hcs.store.folders import replacing_folder
from hcs.store.location import Location

FOLDER = "phases"


def write_phases(out: Location, plate: str, parts: Iterable[tuple[str, pd.DataFrame]]) -> None:
    """Replace ``OUT/phases`` by ``plate=P/well=B03/part.parquet`` of each well and its rows, one well in memory at a
    time."""
    with replacing_folder(out / FOLDER) as folder:
        for well, frame in parts:
            path = folder / f"plate={quote(plate, safe='')}" / f"well={well}" / "part.parquet"
            path.parent.mkdir(parents=True)
            pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path, compression="zstd")
