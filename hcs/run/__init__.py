"""Running plates over workers: the only room that names dask."""
