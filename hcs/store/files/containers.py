"""Files that hold many images each: Nikon .nd2, Zeiss .czi, Leica .lif, by the packages of the extra ``vendors``.

An image of a file is called ``exp.czi#3`` here, as if it were a file beside it, and its planes are pages, channel by
channel within z within time. The packages are imported when a file is read, and named where they are not there.
"""

from __future__ import annotations

import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from hcs.errors import ConfigError

CONTAINERS = {".nd2": "nd2", ".czi": "pylibCZIrw", ".lif": "liffile"}
"""Endings, and the package that reads each."""
_IMAGE = re.compile(r"(.+\.(?:nd2|czi|lif))#(\d+)$", re.IGNORECASE | re.DOTALL)
_ONE_UM_IN_M = 1e6
_LOCK = threading.Lock()
_KEPT = 8
"""Files that are kept open: workers read one field after another from the same few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One image of a file: its name there, its well where the file tells it, and what is known of it."""

    name: str
    well: str
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    sizes: tuple[int, int, int]
    """Time points, z planes, channels."""
    channels: tuple[tuple[str, float | None, float | None], ...] = ()
    """Name, excitation and emission in nm."""
    pixel_size_um: float | None = None
    z_step_um: float | None = None
    interval_s: float | None = None
    times_s: tuple[float, ...] = ()
    """When each time point was taken, where the file tells it one by one."""
    centre_um: tuple[float, float] | None = None
    """Of the image on the stage, (y, x)."""

    def page(self, t: int, z: int, c: int) -> int:
        """The page of a plane."""
        return (t * self.sizes[1] + z) * self.sizes[2] + c


def is_container(name: str) -> bool:
    """Whether a file's name is that of such a file."""
    return Path(name).suffix.lower() in CONTAINERS


def container_of(path: Path) -> tuple[Path, int] | None:
    """The file and the number of an image called ``exp.czi#3``; None of any other path."""
    found = None if path.is_file() else _IMAGE.fullmatch(str(path))
    return None if found is None else (Path(found[1]), int(found[2]))


def scenes(path: Path) -> tuple[Scene, ...]:
    """The images of a file; ConfigError where its package is missing, whatever the package raises where it is
    damaged."""
    return _opened(path, path.stat().st_mtime_ns).scenes


def read_scene(path: Path, number: int, page: int) -> NDArray[Any]:
    """One plane (Y, X) of an image of a file."""
    opened = _opened(path, path.stat().st_mtime_ns)
    _, depth, channels = opened.scenes[number].sizes
    rest, c = divmod(page, channels)
    t, z = divmod(rest, depth)
    with _LOCK:  # one file, one place in it
        return np.ascontiguousarray(opened.read(number, t, z, c))


@contextmanager
def _installed(path: Path) -> Iterator[Any]:
    package = CONTAINERS[path.suffix.lower()]
    try:
        yield import_module("pylibCZIrw.czi" if package == "pylibCZIrw" else package)
    except ImportError as error:
        raise ConfigError(
            f"{path} needs the package {package} ({error}); `pip install 'hcs-plates[vendors]'`, or export TIFF from "
            "the microscope's software"
        ) from error


@lru_cache(maxsize=_KEPT)
def _opened(path: Path, _: int) -> _Open:
    with _installed(path) as package:
        ending = path.suffix.lower()
        return _Nd2(package, path) if ending == ".nd2" else (_Czi if ending == ".czi" else _Lif)(package, path)


class _Open(ABC):
    """A file that is closed when nobody needs it any more."""

    _file: Any
    scenes: tuple[Scene, ...]

    @abstractmethod
    def read(self, number: int, t: int, z: int, c: int) -> NDArray[Any]:
        """One plane."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self.close()


class _Nd2(_Open):
    """A .nd2 file: an image for every position."""

    def __init__(self, package: Any, path: Path) -> None:
        self._file = file = package.ND2File(path)
        sizes, loops = dict(file.sizes), file.loop_indices
        many = sizes.get("P", 1)
        self._frame = {tuple(at.get(axis, 0) for axis in "PTZ"): i for i, at in enumerate(loops or [{}])}
        voxel = file.voxel_size()
        described = file.metadata.channels if file.metadata is not None else []
        channels = tuple(
            (each.channel.name, each.channel.excitationLambdaNm or None, each.channel.emissionLambdaNm or None)
            for each in described or []
        )
        points: list[Any] = next((loop.parameters.points for loop in file.experiment if loop.type == "XYPosLoop"), [])
        names = [str(getattr(points[p], "name", "") or "") if p < len(points) else "" for p in range(many)]
        self.scenes = tuple(
            Scene(
                name=names[p] or str(p),
                well=well_of(names[p]),
                shape=(sizes["Y"], sizes["X"]),
                dtype=np.dtype(file.dtype),
                sizes=(sizes.get("T", 1), sizes.get("Z", 1), sizes.get("C", 1)),
                channels=channels,
                pixel_size_um=_positive(voxel.x) if abs(voxel.x - voxel.y) <= 1e-3 * voxel.x else None,
                z_step_um=_positive(voxel.z) if sizes.get("Z", 1) > 1 else None,
                interval_s=self._interval(),
                times_s=self._times(p, sizes.get("T", 1)),
                centre_um=(points[p].stagePositionUm.y, points[p].stagePositionUm.x) if p < len(points) else None,
            )
            for p in range(many)
        )

    def _interval(self) -> float | None:
        loop = next((loop for loop in self._file.experiment if loop.type in ("TimeLoop", "NETimeLoop")), None)
        period = getattr(getattr(loop, "parameters", None), "periodMs", None)
        return _positive(period / 1000) if period else None

    def _times(self, p: int, count: int) -> tuple[float, ...]:
        """Seconds of the frames of a position, as the camera noted them; none where it did not."""
        found = []
        try:
            for t in range(count):
                told = self._file.frame_metadata(self._frame[p, t, 0]).channels[0].time.relativeTimeMs
                found.append(float(told) / 1000)
        except (AttributeError, LookupError, TypeError, ValueError):
            return ()
        return tuple(found)

    def read(self, number: int, t: int, z: int, c: int) -> NDArray[Any]:
        """One plane."""
        frame = np.asarray(self._file.read_frame(self._frame[number, t, z]))
        return frame if frame.ndim == 2 else frame[c]


class _Czi(_Open):
    """A .czi file: an image for every scene, mosaics put together."""

    def __init__(self, package: Any, path: Path) -> None:
        self._context = package.open_czi(str(path))
        self._file = file = self._context.__enter__()
        box = file.total_bounding_box
        sizes = tuple(box[axis][1] - box[axis][0] if axis in box else 1 for axis in "TZC")
        self._starts = {axis: box[axis][0] for axis in "TZC" if axis in box}
        found = dict(file.scenes_bounding_rectangle)
        self._numbers: list[int | None] = sorted(found) if found else [None]
        rectangles = [found[n] if n is not None else file.total_bounding_rectangle for n in self._numbers]
        types = {str(kind).lower() for kind in file.pixel_types.values()}
        if types - {"gray8", "gray16", "gray32float"}:
            raise ValueError(f"its pixels are {', '.join(sorted(types))}; grey ones of 8 or 16 bits are read")
        dtype = np.dtype({"gray8": np.uint8, "gray16": np.uint16}.get(types.pop() if types else "", np.float32))
        root = ElementTree.fromstring(file.raw_metadata)
        told = {int(each.get("Index", "-1")): each for each in root.iterfind(".//Scenes/Scene")}
        image = root.find(".//Information/Image")
        channels = tuple(_czi_channels(image, sizes[2]))
        scale = {each.get("Id"): _number(each.findtext("Value")) for each in root.iterfind(".//Scaling/Items/Distance")}
        um = {axis: _positive((value or 0) * _ONE_UM_IN_M) for axis, value in scale.items()}
        size = (
            um.get("X") if um.get("X") and abs((um.get("Y") or 0) - (um["X"] or 0)) <= 1e-3 * (um["X"] or 1) else None
        )
        self.scenes = tuple(
            Scene(
                name=_czi_name(told.get(-1 if n is None else n)) or str(i),
                well=_czi_well(told.get(-1 if n is None else n)),
                shape=(rectangle.h, rectangle.w),
                dtype=dtype,
                sizes=(sizes[0], sizes[1], sizes[2]),
                channels=channels,
                pixel_size_um=size,
                z_step_um=um.get("Z") if sizes[1] > 1 else None,
                centre_um=_czi_centre(told.get(-1 if n is None else n)),
            )
            for i, (n, rectangle) in enumerate(zip(self._numbers, rectangles, strict=True))
        )

    def read(self, number: int, t: int, z: int, c: int) -> NDArray[Any]:
        """One plane."""
        plane = {axis: self._starts[axis] + at for axis, at in (("T", t), ("Z", z), ("C", c)) if axis in self._starts}
        found = np.asarray(self._file.read(plane=plane, scene=self._numbers[number]))
        return found[..., 0] if found.ndim == 3 else found

    def close(self) -> None:
        """Close the file."""
        self._context.__exit__(None, None, None)


def _czi_channels(image: Any, count: int) -> Iterator[tuple[str, float | None, float | None]]:
    """Names and light of the channels, nm."""
    found = [] if image is None else image.findall("./Dimensions/Channels/Channel")
    for c in range(count):
        channel = found[c] if c < len(found) else None
        name = "" if channel is None else str(channel.get("Name") or channel.get("Id") or "")
        excitation, emission = (
            None if channel is None else _number(channel.findtext(f"{what}Wavelength"))
            for what in ("Excitation", "Emission")
        )
        yield name or f"C{c}", excitation, emission


def _czi_name(scene: Any) -> str:
    return "" if scene is None else str(scene.get("Name") or "")


def _czi_well(scene: Any) -> str:
    """The well of a scene: its array's or shape's name, or row and column of its shape."""
    if scene is None:
        return ""
    shape = scene.find("Shape")
    after = (scene.get("Name") or "").partition("-")[2]  # of P1-B4, which is point 1 of well B04
    names = [scene.findtext("ArrayName"), None if shape is None else shape.get("Name"), after]
    found = next((well for name in names if (well := well_of(name or ""))), "")
    if not found and shape is not None:
        row, column = (_number(shape.findtext(f"{what}Index")) for what in ("Row", "Column"))
        found = f"{int(row)},{int(column)}" if row and column else ""
    return found


def _czi_centre(scene: Any) -> tuple[float, float] | None:
    parts = ("" if scene is None else scene.findtext("CenterPosition") or "").split(",")
    values = [_number(part) for part in parts]
    return None if len(values) != 2 or None in values else (float(values[1] or 0), float(values[0] or 0))


class _Lif(_Open):
    """A .lif file: its images, and the tiles of an image each as an image."""

    def __init__(self, package: Any, path: Path) -> None:
        self._file = package.LifFile(path)
        self._places: list[tuple[Any, int | None]] = []
        found: list[Scene] = []
        for image in self._file.images:
            sizes = dict(image.sizes)
            if "Y" not in sizes or "X" not in sizes or "S" in sizes or set(sizes) - set("MTZCYX"):
                continue  # no grey image of a field: spectra, lines, colours
            for tile in range(sizes.get("M", 1)):
                tiled = "M" in sizes
                found.append(_lif_scene(image, sizes, tile if tiled else None))
                self._places.append((image, tile if tiled else None))
        self.scenes = tuple(found)

    def read(self, number: int, t: int, z: int, c: int) -> NDArray[Any]:
        """One plane."""
        image, tile = self._places[number]
        wanted = {"T": t, "Z": z, "C": c, "M": tile or 0}
        return np.asarray(image.frame(**{axis: at for axis, at in wanted.items() if axis in image.sizes}))


def _lif_scene(image: Any, sizes: dict[str, int], tile: int | None) -> Scene:
    coords = image.coords
    names = [str(c) for c in coords.get("C", range(sizes.get("C", 1)))]
    path = str(image.path if hasattr(image, "path") else image.name)
    steps = {axis: _lif_step(coords, axis) for axis in "XYZ"}
    square = steps["X"] and steps["Y"] and abs(steps["X"] - steps["Y"]) <= 1e-3 * steps["X"]
    return Scene(
        name=path if tile is None else f"{path} {tile}",
        well=_well_of_path(path),
        shape=(sizes["Y"], sizes["X"]),
        dtype=np.dtype(image.dtype),
        sizes=(sizes.get("T", 1), sizes.get("Z", 1), sizes.get("C", 1)),
        channels=tuple((f"C{name}" if name.isdecimal() else name, None, None) for name in names),
        pixel_size_um=steps["X"] * _ONE_UM_IN_M if square and steps["X"] else None,
        z_step_um=steps["Z"] * _ONE_UM_IN_M if steps["Z"] else None,
        times_s=tuple(np.asarray(coords["T"], float).tolist()) if "T" in coords else (),
    )


def _lif_step(coords: Any, axis: str) -> float | None:
    """Distance along an axis, in metres."""
    values = np.asarray(coords[axis], float) if axis in coords else np.empty(0)
    return _positive(abs(float(values[1] - values[0]))) if values.size > 1 else None


_WELL_NAME = re.compile(r"(?:^|[^A-Za-z0-9])(?:well[ _]*)?([A-Pa-p])[ _-]?(\d{1,2})(?=$|[^0-9])", re.IGNORECASE)


def well_of(name: str) -> str:
    """The well that a name has in it (``B3``, ``B03_0001``, ``Well B-3``); empty where it has none."""
    found = _WELL_NAME.search(name)
    return f"{found[1].upper()}{int(found[2]):02d}" if found and 0 < int(found[2]) <= 48 else ""


def _well_of_path(path: str) -> str:
    """The well of a name of folders: ``TileScan 1/B/3/R1`` and ``B3/Field 2``."""
    parts = path.split("/")
    for row, column in pairwise(parts):
        if len(row) == 1 and row.isalpha() and column.isdecimal():
            return well_of(f"{row}{column}")
    return next((well for part in parts if (well := well_of(part))), "")


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _positive(value: float | None) -> float | None:
    return float(value) if value is not None and 0 < value < float("inf") else None
