"""Replacing a whole folder so that a kill, a full disk or a missing permission leaves the old one or the new one."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hcs.errors import ResultsError
from hcs.store.atomic import cannot_write
from hcs.store.location import Location, Url, map_at
from hcs.store.plate.nodes import METADATA_FILES


@contextlib.contextmanager
def replacing_folder(target: Location, *, new: bool = False) -> Iterator[Path]:
    """Yield an empty folder beside ``target``; rename it to ``target`` when the block ends well, delete it otherwise.

    A killed writer leaves a hidden folder, which the next writer of the same target removes. For a URL the folder is a
    local one, whose files are put into the store at the end (`_put_folder`). With ``new``, what has come to be at
    ``target`` meanwhile is somebody else's, and stays: a ResultsError. An OSError becomes a ResultsError naming
    the target.
    """
    if isinstance(target, Url):
        with tempfile.TemporaryDirectory(prefix="hcs-") as folder:
            yield Path(folder)
            try:
                _put_folder(Path(folder), target)
            except OSError as error:
                raise cannot_write(target, error) from error
        return
    part, old = target.with_name(f".{target.name}.part"), target.with_name(f".{target.name}.old")
    try:
        for stale in (part, old):
            if stale.exists():
                shutil.rmtree(stale)
        part.mkdir(parents=True)
        yield part
        # A folder cannot be renamed onto one that is not empty: the old one steps aside first.
        if target.exists() or target.is_symlink():
            if new:
                raise ResultsError(f"{target} exists already; remove it or give another name")
            target.rename(old)
        try:
            part.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
    except ResultsError:
        raise
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        for left in (part, old):
            shutil.rmtree(left, ignore_errors=True)


def _put_folder(folder: Path, target: Url) -> None:
    """Make ``target`` hold the files of a Zarr group or array in ``folder`` and nothing else.

    A store cannot rename. The metadata of what was there goes first and that of the new comes last, innermost first:
    whoever reads meanwhile, or after a kill, finds the old image, none, or the new one, never a mixture.
    """
    old = target.files() if target.is_dir() else {}
    new = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    metadata = sorted((name for name in new if _is_metadata(name)), key=lambda name: (-name.count("/"), name))
    for name in sorted((name for name in old if _is_metadata(name)), key=lambda name: name.count("/")):
        (target / name).unlink(missing_ok=True)
    map_at(target, lambda name: (target / name).unlink(missing_ok=True), old.keys() - new.keys())
    map_at(target, lambda name: (target / name).write_bytes(new[name].read_bytes()), new.keys() - {*metadata})
    for name in metadata:
        (target / name).write_bytes(new[name].read_bytes())


def _is_metadata(name: str) -> bool:
    return name.rpartition("/")[2] in METADATA_FILES
