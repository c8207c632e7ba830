"""Writing files so that a kill, a full disk or a missing permission leaves the old file or the new one."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hcs.errors import ResultsError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` when the block ends well, delete it otherwise.

    The temporary name starts with a dot, so that Parquet readers pass over it. An OSError (disk full, read-only folder)
    becomes a ResultsError naming the path.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise cannot_write(path, error) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def cannot_write(path: Path, error: OSError) -> ResultsError:
    """The sentence for a failed write: what, why, and that finished fields are safe."""
    return ResultsError(
        f"cannot write {path} ({error.strerror or error}); make room or permission and run the same command again, "
        "finished fields are kept"
    )


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` by temporary name and rename."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, data: Any) -> None:
    """Write plain data as indented JSON by temporary name and rename."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Plain data of a JSON file; ResultsError where it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path} cannot be read ({error}); is this the --out folder of `hcs run`?") from error
