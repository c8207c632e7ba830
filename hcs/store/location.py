"""Where plates and results are: a folder of this machine, or a URL of an object store or web server."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hcs.errors import ConfigError, HcsError, ResultsError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

    from hcs.store.meter import Meter

T = TypeVar("T")
R = TypeVar("R")

_URL = re.compile(r"([a-z][a-z0-9]+)://(.+)", re.DOTALL)
_PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "http": "fsspec[http]", "https": "fsspec[http]"}
_WEB = ("http", "https")
_AT_ONCE = 32
"""Requests to a store that are under way at one time; a store answers in tens of milliseconds, whatever their
number."""


@dataclass(frozen=True, slots=True, order=True)
class Url:
    """An address such as ``s3://bucket/plates/p.zarr``, with those methods of a `pathlib.Path` that hcs uses.

    A store has no folders: ``is_dir`` is whether anything lies beneath. Web servers (``https://``) are read-only and
    cannot be listed: nothing is a folder there. Everything raises OSError as a path would (FileNotFoundError where
    nothing is), ConfigError where the package that speaks the protocol is not installed.
    """

    text: str

    def __str__(self) -> str:
        return self.text

    def __truediv__(self, name: str | Path) -> Url:
        return Url(f"{self.text}/{str(name).strip('/')}") if str(name).strip("/") else self

    @property
    def protocol(self) -> str:
        """``s3``, ``gs``, ``https`` …"""
        return self.text.partition("://")[0]

    @property
    def name(self) -> str:
        """The last part."""
        return self.text.rpartition("/")[2]

    @property
    def stem(self) -> str:
        """The last part without its ending."""
        return Path(self.name).stem

    @property
    def suffix(self) -> str:
        """The ending of the last part."""
        return Path(self.name).suffix

    @property
    def parent(self) -> Url:
        """All but the last part."""
        return Url(self.text.rpartition("/")[0])

    @property
    def is_web(self) -> bool:
        """Whether it is on a web server: read-only, and without listings."""
        return self.protocol in _WEB

    def absolute(self) -> Url:
        """Itself: a URL is absolute."""
        return self

    def resolve(self) -> Url:
        """Itself."""
        return self

    def exists(self) -> bool:
        """Whether an object of this name, or anything beneath it, is there."""
        return bool(self._call("exists"))

    def is_file(self) -> bool:
        """Whether an object of this name is there."""
        return bool(self._call("exists" if self.is_web else "isfile"))

    def is_dir(self) -> bool:
        """Whether anything lies beneath."""
        return not self.is_web and bool(self._call("isdir"))

    def iterdir(self) -> Iterator[Url]:
        """What lies directly beneath, sorted."""
        for path in sorted(self._call("ls", detail=False)):
            name = str(path).rstrip("/").rpartition("/")[2]
            if name and name != self.name:
                yield self / name

    def files(self) -> dict[str, int]:
        """Size in bytes of every object beneath, by its name relative to this."""
        found = self._call("find", detail=True)
        prefix = self.filesystem()._strip_protocol(self.text) + "/"
        return {str(path).removeprefix(prefix): int(info["size"]) for path, info in sorted(found.items())}

    def size(self) -> int:
        """Bytes of the object."""
        return int(self._call("size"))

    def read_bytes(self) -> bytes:
        """The object's content."""
        return bytes(self._call("cat_file"))

    def read_text(self, encoding: str = "utf-8") -> str:
        """The object's content as text."""
        return self.read_bytes().decode(encoding)

    def write_bytes(self, data: bytes) -> None:
        """Put an object in one step: readers see what was there before, or all of ``data``."""
        if self.is_web:
            raise PermissionError(f"{self} is on a web server, which is read-only; give s3:// or gs://")
        self._call("pipe_file", data)

    def unlink(self, missing_ok: bool = False) -> None:
        """Delete the object; FileNotFoundError where there is none and that is not ``missing_ok``."""
        try:
            self._call("rm_file")
        except FileNotFoundError:
            if not missing_ok:
                raise

    def glob(self) -> tuple[Url, ...]:
        """Everything whose name fits this one's wildcards, sorted."""
        return tuple(Url(f"{self.protocol}://{path.strip('/')}") for path in sorted(self._call("glob")))

    def filesystem(self) -> AbstractFileSystem:
        """The fsspec file system of the protocol, without listings remembered from before."""
        try:
            import fsspec  # noqa: PLC0415

            return fsspec.filesystem(self.protocol, use_listings_cache=False)
        except ImportError as error:
            raise missing_package(self.text, error) from error
        except ValueError as error:
            raise ConfigError(
                f"{self}: {self.protocol}:// is not known; give s3://, gs://, https:// or a path"
            ) from error

    def _call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of the file system on this address; whatever it raises comes as OSError."""
        filesystem = self.filesystem()
        with as_os_errors(self.text):
            return getattr(filesystem, method)(self.text, *arguments, **options)


Location = Path | Url


def location(place: str | Location) -> Location:
    """A path or URL from what a user gave; ConfigError for a name that no record could hold."""
    if isinstance(place, Path | Url):
        return place
    try:
        place.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(f"{place!a} is no text in UTF-8; rename it") from error
    if "\0" in place:
        raise ConfigError(f"{place!r} holds a NUL character, which no name has; correct it")
    return Url(place.rstrip("/")) if _URL.fullmatch(place) else Path(place)


def zarr_store(place: Location, *, read_only: bool = False, meter: Meter | None = None) -> Any:
    """What zarr opens to get at ``place``: the path itself, or a store of objects; ``meter`` counts what is read."""
    if meter is not None:
        from hcs.store.meter import metered  # noqa: PLC0415

        return metered(zarr_store(place, read_only=True), meter)
    if isinstance(place, Path):
        return place
    from zarr.storage import FsspecStore  # noqa: PLC0415

    place.filesystem()
    return FsspecStore.from_url(
        place.text, storage_options={"use_listings_cache": False}, read_only=read_only or place.is_web
    )


def map_at(place: Location, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """``function`` of every item, in order: one after another on disk, many at once where each waits for an answer."""
    if isinstance(place, Path):
        return [function(item) for item in items]
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return list(threads.map(function, items))


@contextlib.contextmanager
def as_os_errors(what: str) -> Iterator[None]:
    """Let OSError pass, and raise anything else that a client of a store raises as one, naming ``what``."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        if getattr(error, "status", None) in (401, 403, 404):  # web servers hide what is missing in one of these
            raise FileNotFoundError(f"{what}: {error}") from error
        raise OSError(f"{what}: {type(error).__name__}: {error}") from error


@contextlib.contextmanager
def within_reach(place: Location) -> Iterator[None]:
    """Turn an OSError of the block (no access, no answer) into a ResultsError that names ``place``."""
    try:
        yield
    except HcsError:
        raise
    except OSError as error:
        raise ResultsError(f"{place} cannot be read ({error}); check the address and your access to it") from error


def missing_package(place: str, error: ImportError) -> ConfigError:
    """The sentence for a protocol whose package is not installed."""
    package = _PACKAGES.get(place.partition("://")[0])
    remedy = f"pip install '{package}'" if package else f"install the fsspec package of that protocol ({error})"
    return ConfigError(f"{place} cannot be opened, a package is missing ({error}); {remedy}")
