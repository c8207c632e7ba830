"""Who does the work: everything that names dask. Clusters, jobs of a batch system, the flow of tasks and of blocks."""
