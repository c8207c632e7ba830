"""Replacing a whole folder so that a kill, a full disk or a missing permission leaves the old one or the new one."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from hcs.errors import ResultsError
from hcs.store.atomic import cannot_write


@contextlib.contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``target``; rename it to ``target`` when the block ends well, delete it otherwise.

    A killed writer leaves a hidden folder, which the next writer of the same target removes. An OSError becomes a
    ResultsError naming the target.
    """
    part, old = target.with_name(f".{target.name}.part"), target.with_name(f".{target.name}.old")
    try:
        for stale in (part, old):
            if stale.exists():
                shutil.rmtree(stale)
        part.mkdir(parents=True)
        yield part
        # A folder cannot be renamed onto one that is not empty: the old one steps aside first.
        if target.exists():
            target.rename(old)
        part.rename(target)
    except ResultsError:
        raise
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        for left in (part, old):
            shutil.rmtree(left, ignore_errors=True)
