"""Nikon .nd2, Zeiss .czi and Leica .lif: every position, scene or tile of the files is a field.

A file by itself because these files tell all themselves, by packages of their own (`hcs.store.files.containers`); their
names are looked at only where no image in them is called after a well.
"""

from __future__ import annotations

from collections import Counter

from hcs.errors import PlateError
from hcs.plate.keys import WellId
from hcs.store.files.containers import Scene, well_of
from hcs.store.microscopes.folder import Folder
from hcs.store.microscopes.table import (
    Channel,
    FieldName,
    Place,
    Planes,
    PlaneTable,
    Source,
    only_one,
    with_the_wells,
)

_TITLES = {".nd2": "Nikon .nd2", ".czi": "Zeiss .czi", ".lif": "Leica .lif"}


def files(folder: Folder) -> tuple[str, ...]:
    """The files of these kinds."""
    return folder.containers


def read_scenes(folder: Folder, names: tuple[str, ...]) -> PlaneTable:
    """The planes of all images in the files; PlateError where there is none. Images that name no well, in files that
    name none, are fields of well A01."""
    found, faults = _found(folder, names)
    if not found and faults:
        raise PlateError(faults[0])
    if not found:
        raise PlateError(f"{folder.place}: {names[0]} holds no image of grey levels; export TIFF from its software")
    wells = [_well(name, scene) for name, _, scene in found]
    count: Counter[WellId] = Counter()
    planes, centres, notes = Planes(), dict[FieldName, tuple[float, float]](), dict[str, None]()
    if not any(wells):
        notes[f"No image is called after a well: all {len(found)} are fields of well A01."] = None
    for (name, number, scene), well in zip(found, wells, strict=True):
        if well is None and any(wells):
            notes[f"{name}: {scene.name} names no well, where others do; it is left out."] = None
            continue
        key = (well or WellId(0, 0), str(count[well or WellId(0, 0)]))
        count[key[0]] += 1
        _add(planes, key, f"{name}#{number}", scene)
        if scene.centre_um is not None:
            centres[key] = scene.centre_um
    first = found[0][2]
    size, told = only_one([scene.pixel_size_um for _, _, scene in found], "pixel size")
    return PlaneTable(
        title=", ".join(_TITLES[ending] for ending in sorted({f".{n.rpartition('.')[2].lower()}" for n in names})),
        planes=planes.found,
        channels=_channels(first),
        centres_um=with_the_wells(centres),
        pixel_size_um=size,
        z_step_um=first.z_step_um,
        interval_s=first.interval_s,
        times_s={str(t): seconds for t, seconds in enumerate(first.times_s)},
        missing=faults,
        ignored=folder.images,
        notes=(*notes, *told),
    )


def _found(folder: Folder, names: tuple[str, ...]) -> tuple[list[tuple[str, int, Scene]], tuple[str, ...]]:
    """Every image by its file and number there, and a sentence for each file that is damaged."""
    found, faults = list[tuple[str, int, Scene]](), []
    for name in names:
        try:
            found += [(name, number, scene) for number, scene in enumerate(folder.describe(name))]
        except PlateError as error:
            faults.append(str(error))
    return found, tuple(faults)


def _well(name: str, scene: Scene) -> WellId | None:
    text = scene.well or well_of(name.rpartition("/")[2])
    if not text:
        return None
    row, comma, column = text.partition(",")
    return WellId.of(row, column) if comma else WellId.parse(text)


def _add(planes: Planes, key: FieldName, name: str, scene: Scene) -> None:
    times, depth, channels = scene.sizes
    for t in range(times):
        for z in range(depth):
            for c in range(channels):
                place = Place(*key, str(c), str(z) if depth > 1 else "", str(t) if times > 1 else "")
                planes.add(place, Source(name, scene.page(t, z, c)))


def _channels(scene: Scene) -> dict[str, Channel]:
    """By number; names that two channels share get the number."""
    told = [scene.channels[c] if c < len(scene.channels) else (f"C{c}", None, None) for c in range(scene.sizes[2])]
    names = [name for name, _, _ in told]
    return {
        str(c): Channel(name if names.count(name) == 1 else f"{name} ({c})", excitation, emission)
        for c, (name, excitation, emission) in enumerate(told)
    }
