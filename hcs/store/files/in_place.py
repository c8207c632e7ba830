"""A folder of images as a plate without a copy: the metadata of the plate that `convert` would write, and of every
plane where it lies in the files."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hcs import __version__
from hcs.config import FolderSettings
from hcs.errors import ConfigError, FieldError, HcsError, PlateError, ResultsError
from hcs.plate.keys import FieldKey, WellId
from hcs.store.files.arrange import Arranged
from hcs.store.files.containers import is_container
from hcs.store.files.images import ImageHeader
from hcs.store.files.understood import Seen, Understood, understand
from hcs.store.folders import replacing_folder
from hcs.store.microscopes.folder import Folder, open_folder, root_of
from hcs.store.plate.in_files import Piece, write_in_files
from hcs.store.plate.nodes import read_node
from hcs.store.plate.pyramid import write_image_metadata
from hcs.store.plate.reader import open_plate
from hcs.store.plate.writer import describe_channels, field_path, write_groups

_MOST_NAMED = 12
_SAYS_NOTHING = frozenset({"images", "image", "data", "tif", "tiff", "tiffs", "timepoint_1", "export", "raw"})
"""Names of folders within a plate's: the plate is then called after the folder above."""


def folder_of_images(source: Path) -> Folder | None:
    """The files of a folder that is no OME-Zarr and holds images, or the one file that holds many; None of anything
    else."""
    one = source.is_file() and is_container(source.name)
    if not one and (not source.is_dir() or source.suffix == ".zarr" or read_node(source) is not None):
        return None
    try:
        folder = open_folder(source)
    except PlateError:
        return None
    return folder if folder.images or folder.containers else None


def plate_name(source: Path) -> str:
    """What a plate is called that is read in place."""
    place = source.resolve()
    while place.name.lower() in _SAYS_NOTHING and place.parent.name:
        place = place.parent
    return place.stem if place.is_file() else place.name


@dataclass(frozen=True, slots=True)
class InPlace:
    """A plate that is read in place."""

    source: Path
    layout: str
    lines: tuple[str, ...]
    """What was understood of the folder."""
    notes: tuple[str, ...]
    """Sentences on what is missing, and on what is done to pixels."""


def plate_in_place(
    source: Path, target: Path, settings: FolderSettings, *, folder: Folder, same: bool = False
) -> InPlace:
    """Make ``target`` the plate of a folder of images, of metadata alone: `hcs.store.plate.in_files` reads the pixels
    from the folder. What is at ``target`` already, of the same files, stays. With ``same`` a run works on it already,
    and only a plate of the same fields takes its place.

    Raises ConfigError and PlateError as a conversion does, and ConfigError where what is there is another plate.
    """
    source = source.resolve()
    mark, before = _identity(folder, source, settings), _before(target)
    if before is not None and before["files"] == mark:
        return InPlace(source, before["layout"], tuple(before["lines"]), tuple(before["notes"]))
    if before is not None and same and before["settings"] != repr(settings):
        raise ConfigError(
            f"{target.parent} holds a run that understood {source} otherwise (`folder` of the settings was "
            f"{before['settings']}); give the same, or a new --out folder"
        )
    lines: list[str] = []
    try:
        plan = understand(source, plate_name(source), settings, folder=folder, say=lines.append)
    except HcsError as error:
        raise type(error)(_as_of_a_run(str(error))) from error
    lines = [_as_of_a_run(line) for line in lines]
    seen = Seen()
    example = _example(plan, seen)
    missing, more = plan.found.incomplete[:_MOST_NAMED], len(plan.found.incomplete) - _MOST_NAMED
    notes = (
        *(f"Missing: {what}." for what in missing),
        *([f"Missing: {more:,} more, all of them in {target / 'zarr.json'} under hcs."] if more > 0 else []),
        *seen.notes(),
    )
    told = {"read_from": str(source), "files": mark, "settings": repr(settings), "lines": lines, "notes": [*notes]}
    with replacing_folder(target) as growing:
        for key in plan.found.fields:
            _write_field(growing, plan, key, example)
        numbers: dict[WellId, tuple[int, ...]] = {}
        for key in plan.found.fields:
            numbers[key.well] = (*numbers.get(key.well, ()), key.field)
        plan.write_companions(growing)
        write_groups(
            growing,
            plan.spec,
            fields={well: tuple(sorted(each)) for well, each in numbers.items()},
            acquisitions=plan.acquisitions(),
            origin=plan.record({}) | told,
        )
        if same and before is not None and _fields(growing) != _fields(target):
            raise ConfigError(
                f"{source} has other fields than when the run in {target.parent} began: images were added or taken "
                "away; give a new --out folder"
            )
    return InPlace(source, plan.table.title, tuple(lines), notes)


_OPTIONS = re.compile(
    r"--(plate-format|pixel-size-um|pattern|layout|channels|well|z|t)\b"
    r"(?: (max\b|keep\b|projection\b|all\b|FILE=NAME\b|\d+\b|'[^']*'))?"
)


def _as_of_a_run(text: str) -> str:
    """A sentence that names options of `hcs convert`, with those of `hcs run`."""
    return _OPTIONS.sub(lambda option: f"--folder {option[1].replace('-', '_')}={option[2] or '…'}", text)


def _before(target: Path) -> dict[str, Any] | None:
    """What an earlier call said of the plate at ``target``; None where nothing is, ResultsError for somebody else's."""
    if not target.exists():
        return None
    node = read_node(target)
    told = None if node is None else node.others.get("hcs")
    if not isinstance(told, dict) or "read_from" not in told:
        raise ResultsError(f"{target} is in the way, and hcs did not make it; move it, or give another --out folder")
    return told


def _fields(plate: Path) -> list[FieldKey]:
    return [entry.key for entry in open_plate(str(plate)).fields]


def _identity(folder: Folder, source: Path, settings: FolderSettings) -> str:
    """A hash of names, sizes and times of all files below a folder, and of how they are to be understood."""
    digest = hashlib.sha256(f"{__version__} {source} {settings}\n".encode("utf-8", "surrogatepass"))
    for name in folder.names:
        stat = os.stat(root_of(source) / name)
        digest.update(f"{name} {stat.st_size} {stat.st_mtime_ns}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _example(plan: Understood, seen: Seen) -> Any:
    """How viewers show the channels, by a field that has all of them and can be read; what its pixels tell is entered
    in ``seen``."""
    for planes in plan.found.fields.values():
        if len(planes) == len(plan.found.channels):
            try:
                return describe_channels(plan.spec.channels, plan.image(planes, seen))["channels"]
            except FieldError:
                continue
    return None


def _write_field(folder: Path, plan: Understood, key: FieldKey, example: Any) -> None:
    """The metadata of one field, and where its planes lie."""
    planes, names = plan.found.fields[key], plan.names()
    channels = tuple(planes)
    depth = max(len(sources) for sources in planes.values()) if plan.keeps_z else 0
    header = plan.found.headers[next(iter(planes.values()))[0].name]
    frames = plan.times or (plan.found,)
    pieces: dict[tuple[int, ...], list[Piece]] = {}
    for t, found in enumerate(frames):
        if not found.fields.get(key, {}).keys() >= {*channels} or not _alike(found, key, channels, header):
            continue  # a gap, as in a conversion
        for c, channel in enumerate(channels):
            sources = [(source.name, source.page) for source in found.fields[key][channel]]
            front = ((t,) if plan.times else ()) + (c,)
            if depth:
                pieces |= {(*front, z): [source] for z, source in enumerate(sources)}
            else:
                pieces[front] = sources
    axes = ("t" if plan.times else "") + "c" + ("z" if depth else "") + "yx"
    lengths = {"t": len(frames), "c": len(channels), "z": depth, "y": header.shape[0], "x": header.shape[1]}
    shape = tuple(lengths[axis] for axis in axes)
    place = folder / field_path(key)
    write_in_files(place / "0", plan.source, pieces, shape, header.dtype, axes=axes, ngff=plan.spec.ngff)
    kept = [names[channel] for channel in channels]
    lights = dict(zip(kept, plan.lights_nm(key), strict=True))
    shown = [
        described
        | ({"excitation_nm": lights[described["label"]][0]} if lights[described["label"]][0] else {})
        | ({"emission_nm": lights[described["label"]][1]} if lights[described["label"]][1] else {})
        for described in example or [{"label": name, "color": "FFFFFF", "active": True} for name in plan.spec.channels]
        if described["label"] in lights
    ]
    write_image_metadata(
        place,
        axes=axes,
        n_levels=1,
        ngff=plan.spec.ngff,
        pixel_size_um=plan.spec.pixel_size_um,
        interval_min=plan.when.interval_min,
        times_min=plan.when.times_min,
        z_step_um=plan.spec.z_step_um,
        origin_um=plan.origin_um(key),
        name=str(key),
        omero={"channels": shown},
    )


def _alike(found: Arranged, key: FieldKey, channels: tuple[str, ...], header: ImageHeader) -> bool:
    """Whether a frame's images are of the shape and type of the field's."""
    first = found.headers[found.fields[key][channels[0]][0].name]
    return (first.shape, first.dtype) == (header.shape, header.dtype)
