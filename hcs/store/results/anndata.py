"""Tables of a results folder as AnnData, the container of scanpy and its relatives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.errors import ConfigError
from hcs.store.atomic import replacing
from hcs.store.folders import replacing_folder
from hcs.store.results.crops import CENTER_X, CENTER_Y, KEYS, TIMEPOINT
from hcs.store.results.export import Selection, selected_frames
from hcs.store.results.folder import Results

if TYPE_CHECKING:
    from anndata import AnnData

_LEVELS = ("nuclei", "wells")


def export_anndata(results: Results, path: Path, selection: Selection) -> int:
    """Write nuclei or wells as AnnData (``.h5ad`` or ``.zarr``); returns how many rows.

    ConfigError for another table or ending, and where the package anndata is not installed.
    """
    if path.suffix not in (".h5ad", ".zarr"):
        raise ConfigError(f"--anndata {path} ends neither in .h5ad nor in .zarr; give one of these")
    if path.is_dir():
        raise ConfigError(f"--anndata {path} is there already and may hold other things; remove it or give another")
    data = make_anndata(results, selection)
    if path.suffix == ".zarr":
        with replacing_folder(path) as folder:
            data.write_zarr(folder)
    else:
        with replacing(path) as temporary:
            data.write_h5ad(temporary, compression="gzip", compression_opts=1)
    return int(data.n_obs)


def make_anndata(results: Results, selection: Selection) -> AnnData:
    """Nuclei or wells as AnnData.

    ``X`` (rows, features) has the numeric features as float32; ``obs`` the keys, flags, texts and the plate map's
    columns; ``var`` unit, definition and source of each feature; ``obsm["spatial"]`` the nuclei's centres (x, y) in px
    within their field; ``uns["hcs"]`` the record of the run as JSON. NaN stays NaN.
    """
    if selection.table not in _LEVELS:
        raise ConfigError(f"--table {selection.table} has no features by row; AnnData takes {' or '.join(_LEVELS)}")
    try:
        from anndata import AnnData  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError("--anndata needs the package anndata; pip install anndata") from error
    features, matrix, rest = _parts(results, selection)
    obs = _observations(results, rest, selection)
    data = AnnData(X=matrix, obs=obs, var=_variables(results, features, selection))
    if {CENTER_X, CENTER_Y} <= set(features):
        data.obsm["spatial"] = matrix[:, [features.index(CENTER_X), features.index(CENTER_Y)]]
    data.uns["hcs"] = {"record": json.dumps(results.record.plain()), "table": selection.table}
    return data


def _parts(results: Results, selection: Selection) -> tuple[list[str], NDArray[np.float32], pd.DataFrame]:
    """Names and matrix of the features, and the other columns; nuclei are taken a well at a time."""
    features: list[str] | None = None
    blocks, rest = [], []
    for frame in selected_frames(results, selection):
        if features is None:
            features = [str(name) for name in frame.columns if _is_feature(str(name), frame[name])]
        blocks.append(frame[features].to_numpy(np.float32))
        rest.append(frame.drop(columns=features))
    matrix = np.empty((sum(map(len, blocks)), len(features or ())), np.float32)
    end = len(matrix)
    while blocks:  # from the last, so that no block is there twice for long
        block = blocks.pop()
        matrix[end - len(block) : end] = block
        end -= len(block)
    return features or [], matrix, pd.concat(rest, ignore_index=True)


def _is_feature(name: str, values: pd.Series) -> bool:
    """Whether a column is a number that analyses are made of: no key, and no flag."""
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    return numeric and not name.startswith("Metadata_")


def _observations(results: Results, rest: pd.DataFrame, selection: Selection) -> pd.DataFrame:
    """Keys, flags and texts of the rows, named plate/well/field/object, with time plate/well/field/frame/object; texts
    as categories."""
    if selection.table == "nuclei" and results.has("wells"):
        wells = results.wells()
        mapped = [name for name in wells if str(name).startswith("Metadata_") and name not in rest]
        wells = wells[["Metadata_Well", *mapped]]
        rest = rest.merge(wells, on="Metadata_Well", how="left")
    texts = [name for name in rest.columns if not pd.api.types.is_numeric_dtype(rest[name])]
    names = (
        rest[[name for name in ("Metadata_Plate", *KEYS[:2], TIMEPOINT, KEYS[2]) if name in rest]]
        .astype(str)
        .agg("/".join, axis=1)
    )
    obs = rest.assign(**{name: _categories(rest[name]) for name in texts})
    return obs.set_index(pd.Index(names.to_numpy(object), dtype=object))


def _categories(texts: pd.Series) -> pd.Categorical:
    """Texts as categories, which are plain objects: AnnData files have no type for the strings of pandas 3."""
    codes, names = pd.factorize(texts.astype(object).fillna("").to_numpy(object), sort=True)
    return pd.Categorical.from_codes(codes, categories=pd.Index(names, dtype=object))


def _variables(results: Results, features: list[str], selection: Selection) -> pd.DataFrame:
    """Unit, definition and source of each feature, as the column dictionary has them; empty where it has none."""
    columns = results.columns()
    own = columns[columns["table"].str.startswith(selection.table)].drop_duplicates("name").set_index("name")
    found = own.reindex(features)[["unit", "definition", "source"]].fillna("").astype(object)
    return found.set_index(pd.Index(features, dtype=object))
