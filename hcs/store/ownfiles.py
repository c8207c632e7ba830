"""Which files of a folder hcs wrote, and as what: others' files, and files changed since, are never replaced.

The folder keeps ``.hcs-files``, lines of SHA-256 and name as ``sha256sum`` writes them. A line is added before its file
is put in place, so that a kill leaves no file of hcs's unknown; a name may have several lines.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from hcs.errors import ConfigError
from hcs.store.atomic import cannot_write, replacing
from hcs.store.paths import is_ordinary

MANIFEST = ".hcs-files"


class OwnFiles:
    """The files that hcs wrote into ``folder``; ResultsError where something cannot be written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._sums: dict[str, set[str]] = {}
        with contextlib.suppress(OSError):
            for line in (folder / MANIFEST).read_text(encoding="utf-8", errors="surrogateescape").splitlines():
                digest, _, name = line.partition("  ")
                self._sums.setdefault(name, set()).add(digest)

    @property
    def known(self) -> tuple[str, ...]:
        """Names of files that hcs wrote, whether they are there or not."""
        return tuple(self._sums)

    def is_own(self, name: str) -> bool:
        """Whether the file of this name, if there is one, is as hcs wrote it."""
        path = self.folder / name
        try:
            if not is_ordinary(path) or path.is_symlink():
                return False
            return hashlib.sha256(path.read_bytes()).hexdigest() in self._sums.get(name, ())
        except (FileNotFoundError, NotADirectoryError):
            return not path.is_symlink()

    def check(self, names: Iterable[str], *, way_out: str) -> None:
        """ConfigError where one of the files is there and is not hcs's own, or was changed since."""
        strangers = [name for name in names if not self.is_own(name)]
        if strangers:
            some = ", ".join(strangers[:3]) + (", …" if len(strangers) > 3 else "")
            raise ConfigError(
                f"{self.folder} has {len(strangers)} file(s) that hcs would write over, but did not write or that were "
                f"changed since ({some}); {way_out}"
            )

    def put(self, name: str, data: bytes) -> None:
        """Write a file, and remember it; whether it may be replaced is asked before."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            digest = hashlib.sha256(data).hexdigest()
            line = os.fsencode(f"{digest}  {name}\n")
            where = os.open(self.folder / MANIFEST, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o666)
            with os.fdopen(where, "ab") as manifest:
                manifest.write(line)
        except OSError as error:
            raise cannot_write(self.folder / MANIFEST, error) from error
        self._sums.setdefault(name, set()).add(digest)
        with replacing(self.folder / name) as temporary:
            temporary.write_bytes(data)

    def drop(self, names: Iterable[str]) -> None:
        """Delete those of the files that are as hcs wrote them."""
        for name in names:
            if name in self._sums and self.is_own(name):
                with contextlib.suppress(OSError):
                    (self.folder / name).unlink(missing_ok=True)


def check_output(out: Path, *, what: str) -> None:
    """ConfigError where ``out`` holds things but no ``what`` of hcs, or files of one that were changed since."""
    way_out = "give a new folder"
    if out.is_dir() and not (out / MANIFEST).is_file() and any(not p.name.startswith(".") for p in out.iterdir()):
        raise ConfigError(f"{out} is not empty and holds no {what} of hcs; {way_out}")
    own = OwnFiles(out)
    own.check(own.known, way_out=way_out)


@contextlib.contextmanager
def replacing_output(out: Path) -> Iterator[Path]:
    """Yield an empty folder; at the end its files become those of ``out``, instead of those that hcs wrote there
    before. ConfigError where one of them would replace somebody's."""
    with tempfile.TemporaryDirectory(prefix="hcs-") as temporary:
        folder = Path(temporary)
        yield folder
        own, names = OwnFiles(out), sorted(path.name for path in folder.iterdir())
        own.check(names, way_out="give a new folder")
        for name in names:
            own.put(name, (folder / name).read_bytes())
        own.drop(set(own.known) - set(names))
