"""A plate on disk or in an object store: read, written, and marked as hcs' where hcs wrote it."""
