"""Writing files so that a kill, a full disk or a missing permission leaves the old file or the new one."""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hcs.errors import ConfigError, HcsError, ResultsError
from hcs.store.location import Location, Url

_LITTER = re.compile(r"(?i)\.ds_store|\._.*|thumbs\.db|desktop\.ini|\.sync.*|\.stfolder|\.nfs.*|\.directory")


def is_litter(name: str) -> bool:
    """Whether desktops, file servers and synchronisers leave files of this name wherever they look."""
    return _LITTER.fullmatch(name) is not None


@contextlib.contextmanager
def replacing(path: Location) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` when the block ends well, delete it otherwise.

    The temporary name starts with a dot, so that Parquet readers pass over it. For a URL the temporary file is a local
    one, put into the store in one step. An OSError (disk full, read-only folder, no answer) becomes a ResultsError
    naming the path.
    """
    if isinstance(path, Url):
        with _putting(path) as local:
            yield local
        return
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if temporary.is_symlink():  # of somebody: what is written would go where it leads
            temporary.unlink()
        yield temporary
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, HcsError):  # about what was to be written, not about the writing
            raise
        raise cannot_write(path, error) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _putting(url: Url) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hcs-") as folder:
        local = Path(folder) / url.name
        try:
            yield local
            url.write_bytes(local.read_bytes())
        except OSError as error:
            raise cannot_write(url, error) from error


def check_free(path: Path, *, option: str, overwrite: bool) -> None:
    """ConfigError where there is something at ``path`` already that may not be overwritten: a file that a command names
    for its output may be anybody's."""
    if not overwrite and (path.exists() or path.is_symlink()):
        raise ConfigError(f"{option} {path} exists already; give another name, or --overwrite to replace it")


def cannot_write(path: Location, error: OSError) -> ResultsError:
    """The sentence for a failed write: what, why, and that finished fields are safe."""
    return ResultsError(
        f"cannot write {path} ({error.strerror or error}); make room or permission and run the same command again, "
        "finished fields are kept"
    )


def write_text(path: Location, text: str) -> None:
    """Write ``text`` to ``path`` by temporary name and rename."""
    with replacing(path) as temporary:
        # Names from outside may hold characters that UTF-8 has not; as escapes they are JSON still.
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Location, data: Any) -> None:
    """Write plain data as indented JSON by temporary name and rename."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Location) -> Any:
    """Plain data of a JSON file; ResultsError where it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ResultsError(f"{path} cannot be read ({error}); is this the --out folder of `hcs run`?") from error
