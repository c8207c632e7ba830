"""Threads of the packages that read and write. Alone in a file: worker and client set them before either reads."""

from __future__ import annotations

from functools import lru_cache

import numcodecs.blosc
import pyarrow as pa
import zarr


@lru_cache(maxsize=1)
def set_threads(count: int) -> None:
    """Let pyarrow, Blosc and zarr's codecs use ``count`` threads each in this process, instead of one a core.

    Requests to a store are not threads: any number of them is under way at a time.
    """
    pa.set_cpu_count(count)
    numcodecs.blosc.set_nthreads(count)
    zarr.config.set({"threading.max_workers": count})
