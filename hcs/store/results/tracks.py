"""Tracks of a results folder for other programs: Cell Tracking Challenge folders, GEFF, and napari's tracks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tifffile

from hcs.errors import ConfigError, ResultsError
from hcs.store.folders import replacing_folder
from hcs.store.results.crops import CENTER_X, CENTER_Y
from hcs.store.results.folder import Results
from hcs.tracks.challenge import challenge_tracks

_KEYS = ("Metadata_Site", "Metadata_Timepoint", "Metadata_ObjectNumber", CENTER_Y, CENTER_X)
_TRACK = "Nuclei_TrackObjects_"
_COLUMNS = (*_KEYS, *(f"{_TRACK}{name}" for name in ("Label", "ParentLabel", "LinkScore", "Quality")))
_PARENTS = (f"{_TRACK}ParentObjectNumber", f"{_TRACK}ParentTimepoint")
_MOST_LABELS = 65_535


@dataclass(frozen=True, slots=True)
class TrackedField:
    """The nuclei of one field in all its frames, by frame and number."""

    well: str
    site: int
    nuclei: pd.DataFrame

    @property
    def name(self) -> str:
        """Such as ``B03-0``."""
        return f"{self.well}-{self.site}"

    def ints(self, column: str) -> Any:
        """A column (n,) of integers."""
        return self.nuclei[column].to_numpy(dtype=np.int64)


def tracked_fields(results: Results, wells: tuple[str, ...] | None = None) -> Iterator[TrackedField]:
    """Fields with nuclei, well by well; ResultsError where the results have no tracks."""
    if _COLUMNS[-1] not in results.stored_columns():
        raise ResultsError(f"{results.folder} has no tracks: its plate has no time; export --csv or --parquet instead")
    for well, nuclei in results.nuclei_by_well([*_COLUMNS, *_PARENTS], wells=wells):
        for site, rows in nuclei.groupby("Metadata_Site", sort=True):
            ordered = rows.sort_values(["Metadata_Timepoint", "Metadata_ObjectNumber"], kind="stable")
            yield TrackedField(well, int(str(site)), ordered.reset_index(drop=True))


def _check_new(folder: Path, option: str) -> None:
    if folder.exists() or folder.is_symlink():
        raise ConfigError(f"{option} {folder} is there already and may hold other things; remove it or give another")


def export_ctc(results: Results, folder: Path, wells: tuple[str, ...] | None = None) -> int:
    """Write ``WELL-FIELD_RES`` for each field: label images by track, ``mask000.tif`` …, and ``res_track.txt``.

    Returns how many. ResultsError where labels were not kept or a field has more tracks than the images' 16 bits hold.
    """
    _check_new(folder, "--ctc")
    count = 0
    with replacing_folder(folder) as out:
        for field in tracked_fields(results, wells):
            _write_ctc(results, field, out / f"{field.name}_RES")
            count += 1
    return count


def _write_ctc(results: Results, field: TrackedField, out: Path) -> None:
    track, frame, number = (field.ints(name) for name in (f"{_TRACK}Label", *_KEYS[1:3]))
    parents = dict(zip(track.tolist(), field.ints(f"{_TRACK}ParentLabel").tolist(), strict=True))
    named, table = challenge_tracks(track, frame, parents)
    if len(table) > _MOST_LABELS:
        raise ResultsError(f"field {field.name} has {len(table):,} tracks, more than the {_MOST_LABELS:,} of --ctc")
    out.mkdir()
    key = results.known_field(field.well, field.site, 0)
    frames = results.record.frames(key)
    digits = max(3, len(str(frames - 1)))
    shape = results.labels(field.well, field.site, frame=int(frame[0])).shape
    for t in range(frames):
        here = frame == t
        image = np.zeros(shape, np.uint16)
        if here.any():  # a frame that is empty, or failed, has no nucleus
            labels = results.labels(field.well, field.site, frame=t)
            values = np.zeros(int(labels.max()) + 1, np.uint16)
            values[number[here]] = named[here]
            image = values[labels]
        tifffile.imwrite(out / f"mask{t:0{digits}d}.tif", image, compression="zlib")
    np.savetxt(out / "res_track.txt", table, fmt="%d")


def export_geff(results: Results, folder: Path, wells: tuple[str, ...] | None = None) -> int:
    """Write ``WELL-FIELD.geff`` for each field: a graph whose nodes are nuclei and whose edges are links, in GEFF.

    Returns how many. ConfigError where the package geff is not installed.
    """
    try:
        from geff import GeffMetadata  # noqa: PLC0415
        from geff.core_io import write_arrays  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError("--geff needs the package geff; pip install geff") from error
    _check_new(folder, "--geff")
    count = 0
    axes = [{"name": "t", "type": "time"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    with replacing_folder(folder) as out:
        for field in tracked_fields(results, wells):
            source, target = links_of(field)
            nodes = {name: _whole(values) for name, values in _node_values(field).items()}
            score = field.nuclei[f"{_TRACK}LinkScore"].to_numpy(np.float32)[target]
            write_arrays(
                out / f"{field.name}.geff",
                np.arange(len(field.nuclei), dtype=np.uint64),
                nodes,
                np.stack([source, target], axis=1).astype(np.uint64),
                {"score": _whole(score)},
                GeffMetadata(directed=True, axes=axes, node_props_metadata={}, edge_props_metadata={}),
                zarr_format=3,
            )
            count += 1
    return count


def _whole(values: Any) -> Any:
    """Values without a missing one, as geff takes them."""
    return {"values": values, "missing": None}


def _node_values(field: TrackedField) -> dict[str, Any]:
    nuclei = field.nuclei
    return {
        "t": field.ints("Metadata_Timepoint"),
        "y": nuclei[CENTER_Y].to_numpy(np.float64),
        "x": nuclei[CENTER_X].to_numpy(np.float64),
        "label": field.ints("Metadata_ObjectNumber"),
        "track": field.ints(f"{_TRACK}Label"),
        "quality": nuclei[f"{_TRACK}Quality"].to_numpy(np.float32),
    }


def links_of(field: TrackedField) -> tuple[Any, Any]:
    """Rows (k,) and (k,) of nuclei that are linked, from mothers to daughters as well."""
    frame, number = field.ints("Metadata_Timepoint"), field.ints("Metadata_ObjectNumber")
    place = {key: k for k, key in enumerate(zip(frame.tolist(), number.tolist(), strict=True))}
    before = zip(field.ints(_PARENTS[1]).tolist(), field.ints(_PARENTS[0]).tolist(), strict=True)
    pairs = [(place[key], k) for k, key in enumerate(before) if key[0] >= 0]
    both = np.array(pairs, np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def export_napari(results: Results, folder: Path, wells: tuple[str, ...] | None = None) -> int:
    """Write ``WELL-FIELD.csv`` (track_id, t, y, x) and ``WELL-FIELD.json`` (the graph: track → its mother) for each
    field, as ``viewer.add_tracks(data, graph=graph)`` takes them; returns how many."""
    _check_new(folder, "--napari")
    count = 0
    with replacing_folder(folder) as out:
        for field in tracked_fields(results, wells):
            track = field.ints(f"{_TRACK}Label")
            values = {"track_id": track, **{name: _node_values(field)[name] for name in "tyx"}}
            table = pd.DataFrame(values).sort_values(["track_id", "t"], kind="stable")
            table.to_csv(out / f"{field.name}.csv", index=False)
            parents = zip(track.tolist(), field.ints(f"{_TRACK}ParentLabel").tolist(), strict=True)
            graph = {str(child): [mother] for child, mother in parents if mother}
            (out / f"{field.name}.json").write_text(json.dumps(graph), encoding="utf-8")
            count += 1
    return count
