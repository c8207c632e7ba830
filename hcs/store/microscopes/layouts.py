"""The layouts that are known, in the order in which a folder is compared with them, and the one that a folder has."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from hcs.errors import ConfigError, HcsError, PlateError
from hcs.plate.keys import WellId
from hcs.store.microscopes import (
    cytation,
    dashes,
    harmony,
    imagexpress_ai,
    incell,
    incucyte,
    loaddata,
    metaxpress,
    named,
    ndtiff,
    ome,
    scenes,
    yokogawa,
)
from hcs.store.microscopes.folder import Folder
from hcs.store.microscopes.pattern import compile_pattern, read_pattern
from hcs.store.microscopes.table import PlaneTable
from hcs.store.microscopes.xml import DamagedXml

_MOST_NAMED = 6

Shown = Callable[[Folder], tuple[str, ...]]
"""The files by which a folder shows its layout: metadata, or images by their names."""
Read = Callable[[Folder, tuple[str, ...], int | None], PlaneTable]
"""The table of a folder, from the files that show its layout and the number of the plate's wells."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One kind of folder; ``by_names`` where nothing but the images' names shows it."""

    name: str
    what: str
    shown: Shown
    read: Read
    by_names: bool = False


def _single(read: Callable[[Folder, str], PlaneTable]) -> Read:
    """A reader of one metadata file; a folder with several holds several plates."""

    def read_one(folder: Folder, files: tuple[str, ...], _: int | None) -> PlaneTable:
        if len(files) > 1:
            places = sorted({name.rpartition("/")[0] or "." for name in files})
            some = ", ".join(places[:_MOST_NAMED]) + (", …" if len(places) > _MOST_NAMED else "")
            raise PlateError(f"{folder.place} holds {len(files)} measurements ({some}); convert each by itself")
        return read(folder, files[0])

    return read_one


def _names(read: Callable[[Folder, int | None], PlaneTable]) -> Read:
    return lambda folder, _, plate_format: read(folder, plate_format)


LAYOUTS = (
    Layout(
        "harmony",
        "Opera Phenix and Operetta: Index.xml or Index.idx.xml of Harmony 4 to 7, or Columbus",
        harmony.indexes,
        _single(harmony.read_harmony),
    ),
    Layout(
        "yokogawa",
        "CellVoyager CV7000, CV8000, CQ1, CQ3000: MeasurementData.mlf, with .mrf and .mes if there",
        yokogawa.lists,
        _single(yokogawa.read_yokogawa),
    ),
    Layout("incell", "IN Cell Analyzer: .xdce file", incell.lists, _single(incell.read_incell)),
    Layout(
        "ndtiff",
        "Micro-Manager: NDTiff.index beside its TIFF files",
        ndtiff.indexes,
        _single(ndtiff.read_ndtiff),
    ),
    Layout(
        "imagexpress-ai",
        "ImageXpress HCS.ai: image_metadata_1.csv, with the .jdce file if there",
        imagexpress_ai.lists,
        _single(imagexpress_ai.read_imagexpress_ai),
    ),
    Layout(
        "imagexpress-ai-names",
        "ImageXpress HCS.ai without its list: names such as PROJECT_t0_B02_s0_w0_z0.tif",
        imagexpress_ai.images_named_so,
        _names(imagexpress_ai.read_names),
        by_names=True,
    ),
    Layout(
        "metaxpress",
        "ImageXpress, MetaXpress: .HTD file, or names such as PLATE_B02_s1_w2.TIF",
        metaxpress.images_named_so,
        lambda folder, _, __: metaxpress.read_metaxpress(folder, metaxpress.settings_files(folder)),
        by_names=True,
    ),
    Layout(
        "scanr",
        "ScanR and EMBL: names such as A1--W00001--P00001--Z00000--T00000--GFP.tif, metadata.ome.xml if there",
        dashes.images_named_so,
        _names(dashes.read_dashes),
        by_names=True,
    ),
    Layout(
        "cellomics",
        "Cellomics, ArrayScan: names such as PLATE_B02f00d1.TIF",
        named.CELLOMICS.files,
        _names(named.CELLOMICS.read),
        by_names=True,
    ),
    Layout(
        "cytation",
        "Cytation, Lionheart: Gen5's names such as B2_01_1_3_DAPI_001.tif",
        cytation.images_named_so,
        _names(cytation.read_cytation),
        by_names=True,
    ),
    Layout(
        "incucyte",
        "Incucyte: names such as EXP_R_B2_1_00d02h30m.tif",
        incucyte.images_named_so,
        _names(incucyte.read_incucyte),
        by_names=True,
    ),
    Layout(
        "incell-names",
        "IN Cell without .xdce: names such as B - 03(fld 1 wv DAPI - DAPI).tif",
        incell.images_named_so,
        _names(incell.read_names),
        by_names=True,
    ),
    Layout(
        "harmony-names",
        "Opera Phenix and Operetta without index: names such as r02c03f01p01-ch1sk1fk1fl1.tiff",
        named.HARMONY.files,
        _names(named.HARMONY.read),
        by_names=True,
    ),
    Layout(
        "operetta-names",
        "Operetta, Columbus without index: names such as 002003-1-001001001.tif (row, column, field, z, t, channel)",
        named.OPERETTA.files,
        _names(named.OPERETTA.read),
        by_names=True,
    ),
    Layout(
        "yokogawa-names",
        "CellVoyager without .mlf: names such as PLATE_B03_T0001F001L01A01Z01C01.tif",
        named.YOKOGAWA.files,
        _names(named.YOKOGAWA.read),
        by_names=True,
    ),
    Layout(
        "cq1-names",
        "CQ1 without .mlf: names such as W0029F0001T0001Z000C1.tif",
        named.YOKOGAWA_CQ1.files,
        _names(named.YOKOGAWA_CQ1.read),
        by_names=True,
    ),
    Layout("bbbc013", "the data set BBBC013", named.BBBC013.files, _names(named.BBBC013.read), by_names=True),
    Layout(
        "ome",
        "OME-XML: companion file, *.ome.xml or OME-TIFF, with Plate and Well or without",
        ome.documents,
        lambda folder, files, _: ome.read_ome(folder, files),
    ),
    Layout(
        "loaddata",
        "CellProfiler: load_data.csv with FileName_… and Metadata_Well",
        loaddata.lists,
        lambda folder, files, _: loaddata.read_load_data(folder, files[0]),
    ),
    Layout(
        "scenes",
        "Nikon .nd2, Zeiss .czi, Leica .lif: their positions, scenes or tiles, by the packages of hcs-plates[vendors]",
        scenes.files,
        lambda folder, files, _: scenes.read_scenes(folder, files),
    ),
)


def read_table(
    folder: Folder,
    *,
    layout: str | None = None,
    pattern: str | None = None,
    plate_format: int | None = None,
    well: str | None = None,
) -> PlaneTable:
    """The planes of a folder, by ``pattern``, by the layout of this name, or by the layout that the folder shows; all
    of them of ``well``, where the user gives one.

    Metadata go before names; of names those that most images have. ConfigError for an unknown layout, for both a layout
    and a pattern, and where the folder shows none; PlateError where it holds no image.
    """
    if pattern is not None:
        if layout is not None:
            raise ConfigError("say either --layout or --pattern, not both")
        compiled = compile_pattern(pattern, has_well=well is not None)
        one = None if well is None else WellId.parse(well)
        return _naming(folder, lambda: read_pattern(folder, compiled, plate_format=plate_format, well=one))
    if well is not None:
        return _of_one_well(folder, layout, WellId.parse(well))
    if layout is not None:
        chosen = next((each for each in LAYOUTS if each.name == layout), None)
        if chosen is None:
            known = ", ".join(each.name for each in LAYOUTS)
            raise ConfigError(f"--layout {layout!r} is not known; known are {known}; or give --pattern")
        files = chosen.shown(folder)
        if not files:
            raise ConfigError(f"{folder.place} shows nothing of layout {layout} ({chosen.what}); leave --layout away")
        return _naming(folder, lambda: chosen.read(folder, files, plate_format))
    found, shown = recognise(folder)
    try:
        return _naming(folder, lambda: found.read(folder, shown, plate_format))
    except DamagedXml as damage:
        names = None if found.by_names else _by_names(folder)
        if names is None:
            raise
        table = _naming(folder, lambda: names[0].read(folder, names[1], plate_format))
        return replace(table, notes=(f"Names alone are read, because {damage}.", *table.notes))


def _of_one_well(folder: Folder, layout: str | None, well: WellId) -> PlaneTable:
    """The planes of a folder whose images are all of one well: of its layout, or of a single image that has none.
    ConfigError where there are other wells, or several images that nothing tells apart."""
    if layout is None and len(folder.images) == 1 and not folder.containers and not _is_known(folder):
        return _naming(folder, lambda: read_pattern(folder, re.compile(""), well=well, title="one image file, --well"))
    if layout is None and not _is_known(folder):
        raise ConfigError(
            f"{folder.place} holds {len(folder.images)} images of well {well}, such as {folder.images[0]!r}; say by "
            "--pattern which part of the name is what, such as '_t(?P<t>\\d+)\\.tif$'"
        )
    table = read_table(folder, layout=layout)
    wells = {place.well for place in table.planes}
    if len(wells) > 1:
        raise ConfigError(
            f"--well {well}: the images in {folder.place} are of {len(wells)} wells, such as {min(wells)}; leave "
            "--well away"
        )
    return replace(
        table,
        planes={replace(place, well=well): source for place, source in table.planes.items()},
        centres_um={(well, name): place for (_, name), place in table.centres_um.items()},
        acquisitions={(well, name): number for (_, name), number in table.acquisitions.items()},
    )


def _is_known(folder: Folder) -> bool:
    """Whether a folder shows a layout."""
    return any(each.shown(folder) for each in LAYOUTS)


def _naming(folder: Folder, read: Callable[[], PlaneTable]) -> PlaneTable:
    """What ``read`` gives; an error names the folder, whatever file in it it is about."""
    try:
        return read()
    except HcsError as error:
        if folder.place in str(error):
            raise
        raise type(error)(f"{folder.place}: {error}") from error


def _by_names(folder: Folder) -> tuple[Layout, tuple[str, ...]] | None:
    """The layout that most images are called by, if any is."""
    found = [(each, files) for each in LAYOUTS if each.by_names and (files := each.shown(folder))]
    return max(found, key=lambda one: len(one[1])) if found else None


def recognise(folder: Folder) -> tuple[Layout, tuple[str, ...]]:
    """The layout that a folder shows, and by which files; ConfigError where it shows none, PlateError where it holds no
    image either."""
    by_names: list[tuple[Layout, tuple[str, ...]]] = []
    for each in LAYOUTS:
        files = each.shown(folder)
        if files and not each.by_names:
            if by_names:  # metadata of this kind tell less than names do
                break
            return each, files
        if files:
            by_names.append((each, files))
    if by_names:
        return max(by_names, key=lambda found: len(found[1]))
    if not folder.images:
        raise PlateError(f"{folder.place} holds no TIFF or PNG file{folder.instead()}; give the folder of the images")
    example = f"; one file is {folder.images[0]!r}"
    raise ConfigError(
        f"{folder.place} is of no known microscope{example}; `hcs convert --list-layouts` shows those that are known, "
        "and --pattern takes any names, with --well where these tell no well"
    )


def described() -> tuple[str, ...]:
    """A line for each layout: its name and what it is known by."""
    width = max(len(each.name) for each in LAYOUTS)
    return tuple(f"{each.name:<{width}}  {each.what}" for each in LAYOUTS)
