"""Records that hcs keeps about a run (run.json, ledger entries, readout.json): JSON with a checksum of its own.

They decide what is read and what is done again, so a record that was cut short, changed by a disk or by hand, or that
another program wrote is told from a sound one, and never half believed. Alone in a file because worker, client and
every reader need it and nothing else here.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hcs.store.atomic import write_json
from hcs.store.location import Location, Url

SEAL = "crc32"
"""Key of the checksum; the last of the file."""


class Damaged(ValueError):
    """A file is not as hcs wrote it; the message says what is wrong with it, as the end of a sentence about it."""


@dataclass(frozen=True, slots=True)
class Written:
    """What is kept of a file that was written: its size and the CRC-32 of its bytes, eight hexadecimal digits."""

    nbytes: int
    crc32: str

    @classmethod
    def of(cls, data: bytes) -> Written:
        """That of a file of these bytes."""
        return cls(len(data), f"{zlib.crc32(data):08x}")

    def read(self, path: Location) -> bytes:
        """The file's bytes; `Damaged` where it is missing, cannot be read, or holds other bytes than were written."""
        data = content(path)
        if len(data) != self.nbytes:
            raise Damaged(f"has {len(data):,} bytes and was written with {self.nbytes:,}")
        if (now := self.of(data).crc32) != self.crc32:
            raise Damaged(f"holds other bytes than were written (checksum {now}, not {self.crc32})")
        return data

    def glance(self, path: Location) -> None:
        """`Damaged` where the file is missing or of another size; its bytes are not looked at."""
        try:
            size = path.size() if isinstance(path, Url) else path.stat().st_size
        except OSError as error:
            raise _unreadable(error) from error
        if size != self.nbytes:
            raise Damaged(f"has {size:,} bytes and was written with {self.nbytes:,}")


def content(path: Location) -> bytes:
    """A file's bytes; `Damaged` where it is missing or cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(error) from error


def _unreadable(error: OSError) -> Damaged:
    missing = isinstance(error, FileNotFoundError)
    return Damaged("is missing" if missing else f"cannot be read ({error.strerror or error})")


def write_sealed(path: Location, data: Mapping[str, Any]) -> None:
    """Write plain data as JSON with its checksum, by temporary name and rename."""
    write_json(path, {**data, SEAL: _seal(data)})


def read_sealed(path: Location) -> dict[str, Any]:
    """The plain data of `write_sealed`, without the checksum; `Damaged` where the file is not as it was written."""
    data = content(path)
    if not data:
        raise Damaged("is empty")
    try:
        plain = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Damaged("is no JSON") from error
    if not isinstance(plain, dict) or SEAL not in plain:
        raise Damaged("has no checksum, so this version of hcs did not write it")
    seal = plain.pop(SEAL)
    if seal != _seal(plain):
        raise Damaged("was changed after hcs wrote it: its checksum does not fit")
    return plain


def _seal(data: Mapping[str, Any]) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return f"{zlib.crc32(text.encode()):08x}"
