"""A folder as the vendors' modules see it: names of files, their bytes, and the texts inside TIFF pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import tifffile

from hcs.errors import HcsError, PlateError
from hcs.store.files.containers import Scene, is_container, scenes
from hcs.store.files.images import SUFFIXES
from hcs.store.paths import is_ordinary
from hcs.store.plate.nodes import METADATA_FILES

HEAD_BYTES = 20_000
_MOST_ENDINGS = 4
_FIRST_PAGES = 2
_TEXTS = frozenset({270, 51123})
"""TIFF tags: ImageDescription, and Micro-Manager's metadata."""
_VENDORS_TAGS = 60_000
"""Tags from here on are vendors' own (Incucyte 60020)."""


class Folder:
    """The files below a folder by their paths relative to it, with ``/``; hidden files are not among them.

    ``place`` is where the folder is, for sentences; ``describe`` gives the images in one of ``containers``, files of
    many images. ``read`` gives a file's bytes, ``head`` its first 20,000, by which a kind is told, ``texts`` the
    descriptions and vendors' texts of the first pages of a TIFF file.
    """

    def __init__(
        self,
        names: Iterable[str],
        *,
        read: Callable[[str], bytes],
        texts: Callable[[str], tuple[str, ...]],
        head: Callable[[str], bytes] | None = None,
        describe: Callable[[str], tuple[Scene, ...]] = lambda _: (),
        place: str = "the folder",
    ) -> None:
        self.names = tuple(sorted(names))
        self.place = place
        self.containers = tuple(name for name in self.names if is_container(name))
        self.describe = describe
        self.images = tuple(name for name in self.names if Path(name).suffix.lower() in SUFFIXES)
        self.read, self.texts = read, texts
        self.head = head or (lambda name: read(name)[:HEAD_BYTES])
        self._by_path = {name.lower(): name for name in self.names}
        self._by_base: dict[str, list[str]] = {}
        for name in self.names:
            self._by_base.setdefault(name.rpartition("/")[2].lower(), []).append(name)

    def find(self, name: str, beside: str = "") -> str | None:
        """The file that metadata call ``name``: beside the file ``beside``, else by its path, else the only one of that
        name below it or anywhere. Case and the direction of slashes do not count."""
        wanted = name.replace("\\", "/").strip().lower()
        around = beside.rpartition("/")[0].lower()
        near = f"{around}/{wanted}" if around else wanted
        if near in self._by_path or wanted in self._by_path:
            return self._by_path.get(near) or self._by_path[wanted]
        same = self._by_base.get(wanted.rpartition("/")[2], [])
        below = [found for found in same if found.lower().startswith(f"{around}/")] if around else same
        return below[0] if len(below) == 1 else same[0] if len(same) == 1 else None

    def instead(self) -> str:
        """What the folder holds where it holds no image, to go on with in a sentence."""
        return instead_of_images(Path(name) for name in self.names)

    def ending(self, *endings: str) -> tuple[str, ...]:
        """Files whose names end so, in small letters."""
        return tuple(name for name in self.names if name.lower().endswith(endings))


def open_folder(source: Path) -> Folder:
    """The folder ``source``, or that of the one file ``source`` that holds many images (.nd2, .czi, .lif); PlateError
    where there is none, or where it holds no file at all.

    Plates that were converted into the folder itself (``*.zarr``) are passed over.
    """
    called = source
    if source.is_file() and is_container(source.name):
        names, source = [source.name], source.parent
    elif source.is_file():
        raise PlateError(f"{source} is one file; give the folder that holds the images of the plate")
    elif not source.is_dir():
        raise PlateError(f"no such folder of images: {source}; check the path")
    else:
        files = [path for path in source.rglob("*") if not _passed_over(path.relative_to(source)) and path.is_file()]
        names = [path.relative_to(source).as_posix() for path in files]
    if not names:
        raise PlateError(
            f"{source} holds no TIFF or PNG file{instead_of_images(source.iterdir())}; give the folder of images"
        )

    def read(name: str) -> bytes:
        if not is_ordinary(source / name):
            raise PlateError(f"{source / name} is no file but a pipe, socket or device; give a folder of files")
        return (source / name).read_bytes()

    def head(name: str) -> bytes:
        if not is_ordinary(source / name):
            return b""
        with (source / name).open("rb") as file:
            return file.read(HEAD_BYTES)

    return Folder(
        names,
        read=read,
        head=head,
        texts=lambda name: tiff_texts(source / name),
        describe=lambda name: _described(source / name),
        place=str(called),
    )


def root_of(source: Path) -> Path:
    """The folder that the names of `open_folder` are relative to."""
    return source.parent if source.is_file() else source


def _described(path: Path) -> tuple[Scene, ...]:
    """The images in a file; PlateError where it is damaged."""
    try:
        return scenes(path)
    except HcsError:
        raise
    except Exception as error:  # packages raise whatever they stumble over
        raise PlateError(f"{path} cannot be read ({error}); copy it again") from error


def tiff_texts(path: Path) -> tuple[str, ...]:
    """Descriptions and vendors' texts of the first two pages of a TIFF file; none where it cannot be read."""
    found: list[str] = []
    try:
        with tifffile.TiffFile(path, _multifile=False, is_ome=False) as tif:
            for page in list(tif.pages)[:_FIRST_PAGES]:
                tags = [tag for tag in page.aspage().tags if tag.code in _TEXTS or tag.code >= _VENDORS_TAGS]
                found += [json.dumps(tag.value) if isinstance(tag.value, dict) else str(tag.value) for tag in tags]
    except Exception:  # whatever is wrong with the file, its header is read again and the reason named
        return ()
    return tuple(found)


def instead_of_images(files: Iterable[Path]) -> str:
    """What a folder without images holds, by the names of its files, to go on with in a sentence."""
    found = list(files)
    if any(path.name in METADATA_FILES for path in found):
        return ", it is OME-Zarr, whose plates `hcs run` reads as they are"
    endings = sorted({path.suffix.lower() for path in found if path.suffix})
    return f", but {', '.join(endings[:_MOST_ENDINGS])} files, which are not read" if endings else ""


def _passed_over(path: Path) -> bool:
    """Whether it is hidden, of a file server or desktop, a thumbnail's folder, or in a plate."""
    return any(part.startswith(".") or part.endswith(".zarr") or part.lower() in _NOT_OF_A_PLATE for part in path.parts)


_NOT_OF_A_PLATE = frozenset(
    {
        *("__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found"),
        *("thumb", "thumbs", "thumbnail", "thumbnails"),
    }
)
