"""The pictures of a plate's page as plain data: one field a well with its nuclei, and sheets of single nuclei."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcs.report.embed import data_uri, float32_text
from hcs.report.shots import Centres
from hcs.report.tables import KEYS, PlateTables
from hcs.report.thumbnails import CROP_PX, Bytes, FieldPicture, sheet

_SHEET_COLUMNS = 40
_CENTRE = ("Nuclei_AreaShape_Center_Y", "Nuclei_AreaShape_Center_X")
_NUMBERS = (("content", "Nuclei_DNA_ContentN"), ("ratio", "Nuclei_Sensor_Ratio"))
_FIRST = ("Phase", "CDK2 Phase", "CDK2 State", "Gate")
_DIGITS, _UNKNOWN = np.frombuffer(b"0123456789.", np.uint8), 10
Number = TypeVar("Number", np.int64, np.float64)
_NOT_A_COLOUR = frozenset({"Metadata_Plate", "Metadata_Well"})


@dataclass(frozen=True, slots=True)
class Shown:
    """Nuclei of one field that are shown by themselves: their object numbers, and where they are."""

    objects: tuple[int, ...]
    centres: Centres


@dataclass(slots=True)
class PagePictures:
    """What was pictured: ``wells`` as plain data by well, ``sheets`` of single nuclei by channel, ``crops`` on them."""

    channels: tuple[str, ...]
    wells: dict[str, dict[str, object]] = field(default_factory=dict)
    sheets: list[str] = field(default_factory=list)
    crops: dict[tuple[str, int, int], int] = field(default_factory=dict)
    colourings: list[dict[str, object]] = field(default_factory=list)

    def data(self, shown: pd.DataFrame | None) -> dict[str, object]:
        """As plain data; ``shown`` are the scatter's nuclei that should be on the sheets."""
        rows = [] if shown is None else zip(shown["Metadata_Well"], shown["site"], shown["object"], strict=True)
        return {
            "channels": list(self.channels),
            "wells": self.wells,
            "colourings": self.colourings,
            "sheets": self.sheets,
            "sheetColumns": _SHEET_COLUMNS,
            "cropPx": CROP_PX,
            "crops": [self.crops.get((str(w), int(s), int(o)), -1) for w, s, o in rows],
        }


def pictured_fields(fields: pd.DataFrame) -> dict[str, int]:
    """The field of each well that is shown: the first flagged one that was processed, else that of median count."""
    if fields.empty or "Status" not in fields:
        return {}
    done = fields[fields["Status"].isin(["ok", "empty"])]
    ranked = done.sort_values(["Count_Nuclei", "Metadata_Site"], kind="stable")
    of_well = ranked.groupby("Metadata_Well", sort=False)["Metadata_Site"]
    middle = ranked[of_well.cumcount() == of_well.transform("size") // 2]
    flagged = done[done["Flags"].fillna("") != ""] if "Flags" in done else done.head(0)
    chosen = {
        well: site
        for rows in (middle, flagged.drop_duplicates("Metadata_Well"))
        for well, site in zip(rows["Metadata_Well"], rows["Metadata_Site"], strict=True)
    }
    return {str(well): int(chosen[well]) for well in done["Metadata_Well"].unique()}


def shown_nuclei(tables: PlateTables, pictured: Mapping[str, int], shown: pd.DataFrame | None) -> dict[str, Shown]:
    """The ``shown`` nuclei of each well's pictured field, by object number; wells without any are left out."""
    if shown is None:
        return {}
    own = _FieldRows.of(tables.nuclei, pictured)
    centres = tables.nuclei[list(_CENTRE)].to_numpy(np.float64)
    found = {}
    for well, rows in shown.groupby("Metadata_Well"):
        name = str(well)
        if name in own:
            objects = tuple(sorted(map(int, rows["object"])))
            found[name] = Shown(objects, centres[own[name].rows_of(objects)])
    return found


def gather_pictures(
    tables: PlateTables,
    *,
    channels: tuple[str, ...],
    pictured: Mapping[str, int],
    fields: Mapping[str, FieldPicture],
    shown: Mapping[str, Shown],
    squares: Mapping[str, Bytes],
) -> PagePictures:
    """The pictures ``fields`` and ``squares`` of wells, which `hcs.report.shots` made, with what the tables say of
    their nuclei. ``squares`` (channels, n, 40, 40) are of the nuclei ``shown``."""
    taken = PagePictures(channels)
    colourings = nucleus_colourings(tables.nuclei)
    taken.colourings = [{"title": c.title, "categories": list(c.categories)} for c in colourings]
    own = _FieldRows.of(tables.nuclei, pictured)
    numbers = {key: tables.nuclei[name] for key, name in _NUMBERS if name in tables.nuclei}
    values = {key: column.to_numpy(dtype=np.float64, na_value=np.nan) for key, column in numbers.items()}
    for well, picture in fields.items():
        rows = own.get(well, _NO_ROWS).rows_of(picture.objects)
        taken.wells[well] = {
            "site": pictured[well],
            "size": [picture.width, picture.height],
            "shown": list(picture.shown_px),
            "field": list(picture.field_px),
            "images": [data_uri(content, "webp") for content in picture.images],
            "outlines": picture.outlines,
            "objects": picture.objects,
            **_nucleus_data(rows, values, colourings),
        }
    wells = [well for well in fields if well in squares]
    for well in wells:
        for number in shown[well].objects:
            taken.crops[well, pictured[well], number] = len(taken.crops)
    if taken.crops:
        of_channels = np.concatenate([squares[well] for well in wells], axis=1)
        taken.sheets = [data_uri(sheet(crops, columns=_SHEET_COLUMNS), "webp") for crops in of_channels]
    return taken


@dataclass(frozen=True, slots=True)
class _FieldRows:
    """Where the nuclei of one field are in the nucleus table: their numbers, ascending, and their rows, (n,)."""

    objects: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]

    @classmethod
    def of(cls, nuclei: pd.DataFrame, pictured: Mapping[str, int]) -> dict[str, _FieldRows]:
        """Those of the ``pictured`` field of each well that has nuclei."""
        objects, sites = (nuclei[name].to_numpy(np.int64) for name in ("Metadata_ObjectNumber", "Metadata_Site"))
        found = {}
        for well, places in nuclei.groupby("Metadata_Well", observed=True).indices.items():
            if str(well) in pictured:
                rows = np.asarray(places, np.int64)
                rows = rows[sites[rows] == pictured[str(well)]]
                rows = rows[np.argsort(objects[rows], kind="stable")]
                found[str(well)] = cls(objects[rows], rows)
        return found

    def rows_of(self, objects: Sequence[int]) -> npt.NDArray[np.int64]:
        """The row of each of ``objects``, (m,); -1 of one that is not there."""
        wanted = np.asarray(objects, np.int64)
        if not self.objects.size:
            return np.full(wanted.size, -1)
        place = np.searchsorted(self.objects, wanted).clip(max=self.objects.size - 1)
        return np.where(self.objects[place] == wanted, self.rows[place], -1)


_NO_ROWS = _FieldRows(np.empty(0, np.int64), np.empty(0, np.int64))


@dataclass(frozen=True, slots=True)
class Colouring:
    """One way to colour nuclei: ``codes`` (n,) of the table's nuclei, into ``categories``."""

    title: str
    categories: tuple[str, ...]
    codes: npt.NDArray[np.int64]


def nucleus_colourings(nuclei: pd.DataFrame) -> list[Colouring]:
    """By every text column of the phases (cell cycle, gate, sensor), and by flags."""
    found = []
    for name in nuclei.columns:
        column = nuclei[name]
        if str(name) in _NOT_A_COLOUR or str(name) in KEYS or pd.api.types.is_numeric_dtype(column):
            continue
        if str(name).startswith("Nuclei_Flag"):
            continue
        coded = column.astype("string").fillna("").astype("category")
        categories = tuple(str(c) for c in coded.cat.categories)
        if 1 <= len(categories) <= 9 and any(categories):
            found.append(Colouring(str(name).replace("_", " "), categories, np.asarray(coded.cat.codes, np.int64)))
    ranked = sorted(found, key=lambda c: _FIRST.index(c.title) if c.title in _FIRST else len(_FIRST))
    return [*ranked, _flags(nuclei)]


def _flags(nuclei: pd.DataFrame) -> Colouring:
    """The worst flag of each nucleus: saturated pixels before touching the border."""
    codes = np.zeros(len(nuclei), np.int64)
    if "Nuclei_Flag_TouchesBorder" in nuclei:
        codes[nuclei["Nuclei_Flag_TouchesBorder"].to_numpy(dtype=bool)] = 1
    for name in nuclei.columns:
        if str(name).startswith("Nuclei_Flag_SaturatedPixels"):
            codes[nuclei[name].to_numpy() > 0] = 2
    return Colouring("Flag", ("no flag", "touches the border", "saturated pixels"), codes)


def _nucleus_data(
    rows: npt.NDArray[np.int64], values: Mapping[str, npt.NDArray[np.float64]], colourings: list[Colouring]
) -> dict[str, object]:
    """Codes and numbers of a picture's nuclei, of which ``rows`` are those in the table, in the order of its
    outlines."""
    codes = [_DIGITS[_taken(c.codes, rows, _UNKNOWN)].tobytes().decode("ascii") for c in colourings]
    data: dict[str, object] = {"codes": codes}
    for key, column in values.items():
        data[key] = float32_text(_taken(column, rows, np.nan))
    return data


def _taken(column: npt.NDArray[Number], rows: npt.NDArray[np.int64], missing: float) -> npt.NDArray[Number]:
    """Values of a column in ``rows``, (m,); ``missing`` for row -1."""
    taken = np.full(rows.size, missing, column.dtype)
    known = rows >= 0
    taken[known] = column[rows[known]]
    return taken


def crop_side_px(nuclei: pd.DataFrame) -> int:
    """2.2 times the diameter of the median nucleus, px, at least 16."""
    area = nuclei["Nuclei_AreaShape_Area"] if "Nuclei_AreaShape_Area" in nuclei else pd.Series([500.0])
    median = float(area.median()) if len(area) else 500.0
    return max(16, round(2.2 * float(np.sqrt(4 * median / np.pi))))
