"""Working on a results folder in a store as if it were on disk."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hcs.store.atomic import cannot_write
from hcs.store.location import Location, Url, map_at, within_reach
from hcs.store.paths import check_results

_LEFT_THERE = "labels.zarr/"
"""Label images are many and large, and read field by field from where they are."""


@contextlib.contextmanager
def local_copy(place: Location) -> Iterator[Path]:
    """Yield a folder with the files of ``place``, its label images left out; what the block writes or deletes there is
    put into, or deleted from, ``place`` at the end. A folder on disk is yielded itself.

    Raises ResultsError where the files cannot be read or written.
    """
    if isinstance(place, Path):
        check_results(place)
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="hcs-") as temporary:
        folder = Path(temporary)
        before = _fetch(place, folder)
        yield folder
        after = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        changed = [name for name, path in after.items() if before.get(name) != _digest(path.read_bytes())]
        try:
            map_at(place, lambda name: (place / name).write_bytes(after[name].read_bytes()), sorted(changed))
            map_at(place, lambda name: (place / name).unlink(missing_ok=True), sorted(before.keys() - after.keys()))
        except OSError as error:
            raise cannot_write(place, error) from error


def _fetch(place: Url, folder: Path) -> dict[str, str]:
    """Copy the files; a digest of each by its name."""

    def fetch(name: str) -> str:
        data = (place / name).read_bytes()
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return _digest(data)

    with within_reach(place):
        names = [name for name in place.files() if not name.startswith(_LEFT_THERE)]
        return dict(zip(names, map_at(place, fetch, names), strict=True))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
