"""Everything a page shows as plain data: tables with their numbers as they are, histograms, scatter, pictures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from hcs.plate.keys import WellId, plate_shape
from hcs.report.cells import Cells
from hcs.report.conditions import Histograms
from hcs.report.distrust import distrusted
from hcs.report.embed import LONGEST_TEXT, table_data
from hcs.report.names import readout_name
from hcs.report.over_time import OverTime
from hcs.report.pictures import PagePictures
from hcs.report.tables import ABSENT, PlateTables

_QUALITY = "Quality_"


def page_data(
    tables: PlateTables,
    *,
    histograms: Histograms | None = None,
    cells: Cells | None = None,
    pictures: PagePictures | None = None,
    time: OverTime | None = None,
) -> dict[str, object]:
    """The plain data that the page's scripts draw from; see ``table_data`` for the form of the tables."""
    wells = tables.frame("wells")
    names = [str(well) for well in wells.get("Metadata_Well", ())]
    frames = {name: tables.frame(name) for name in ABSENT}
    numeric = [str(c) for c in wells.columns if _is_readout(wells, str(c))]
    responses = [] if time is None else [str(name) for name in time.response_names]
    known = [*dict.fromkeys([*tables.readouts, *numeric, *_readouts_of(frames), *responses])]
    return {
        "plate": tables.plate[:LONGEST_TEXT],
        "shape": list(plate_shape([WellId.parse(name) for name in names])),
        "readouts": list(tables.readouts),
        "wellReadouts": numeric,
        "names": {name: readout_name(name) for name in known},
        "definitions": _definitions(tables.dictionary),
        "tables": {name: table_data(frame) for name, frame in frames.items() if len(frame)},
        "absent": {name: sentence for name, sentence in ABSENT.items() if frames[name].empty},
        "wellQuality": table_data(well_quality(tables.frame("fields"), names)),
        "distrusted": distrusted(tables),
        "histograms": None if histograms is None else histograms.data(),
        "cells": None if cells is None else cells.data(names),
        "time": None if time is None else time.data(),
        "pictures": None if pictures is None else pictures.data(None if cells is None else cells.shown),
    }


def well_quality(fields: pd.DataFrame, wells: list[str]) -> pd.DataFrame:
    """Mean over the fields of each well of the Quality_ columns of the field table, in the order of ``wells``."""
    columns = [str(c) for c in fields.columns if str(c).startswith(_QUALITY)]
    if not columns:
        return pd.DataFrame()
    return fields.groupby("Metadata_Well")[columns].mean().reindex(wells).reset_index(drop=True)


def _is_readout(wells: pd.DataFrame, column: str) -> bool:
    """Whether the column is a number of a well that has a value anywhere."""
    if column.startswith(("Metadata_", "Fields_")) or not pd.api.types.is_numeric_dtype(wells[column]):
        return False
    return bool(np.isfinite(wells[column].to_numpy(dtype=np.float64, na_value=np.nan)).any())


def _readouts_of(frames: Mapping[str, pd.DataFrame]) -> list[str]:
    """Readouts that any table is about."""
    return [str(name) for frame in frames.values() if "Readout" in frame for name in frame["Readout"].unique()]


def _definitions(dictionary: pd.DataFrame) -> dict[str, dict[str, list[str]]]:
    """Unit and definition by table and column."""
    found: dict[str, dict[str, list[str]]] = {}
    if dictionary.empty:
        return found
    for row in dictionary.to_dict("records"):
        found.setdefault(str(row["table"]), {})[str(row["name"])] = [
            str(row["unit"])[:60],
            str(row["definition"])[:LONGEST_TEXT],
        ]
    return {table: columns for table, columns in found.items() if table in ABSENT}
