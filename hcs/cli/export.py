"""`hcs export`: tables of a results folder as single files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hcs.cli.common import FILE, PLACE

if TYPE_CHECKING:
    from hcs.store.location import Location
    from hcs.store.results.folder import Results


_NEW = click.Path(path_type=Path)


@click.command(short_help="Write a table as CSV, Parquet or AnnData.")
@click.argument("results", type=PLACE)
@click.option(
    "--csv", "csv_path", type=FILE, help="CSV file, which spreadsheets open; of wells, unless --table is given."
)
@click.option("--parquet", "parquet_path", type=FILE, help="Parquet file; of nuclei, unless --table is given.")
@click.option(
    "--anndata",
    "anndata_path",
    type=click.Path(path_type=Path),
    help="AnnData for scanpy, .h5ad or .zarr; of nuclei, unless --table is wells.",
)
@click.option(
    "--ctc",
    "ctc_path",
    type=click.Path(path_type=Path),
    help="Tracks as a Cell Tracking Challenge folder: labels by track.",
)
@click.option("--geff", "geff_path", type=_NEW, help="Tracks as a folder of GEFF graphs, one a field.")
@click.option(
    "--napari",
    "napari_path",
    type=click.Path(path_type=Path),
    help="Tracks as a folder of tables and graphs for napari.",
)
@click.option("--table", help="A table of RESULTS: its file's name without .parquet, such as compounds.")
@click.option("--wells", help="Only these wells: names and wildcards, such as B03,C*.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@click.option("--columns", help="Only these columns, such as Metadata_Well,Count_Nuclei.")
def export(
    results: Location,
    csv_path: Path | None,
    parquet_path: Path | None,
    anndata_path: Path | None,
    ctc_path: Path | None,
    geff_path: Path | None,
    napari_path: Path | None,
    table: str | None,
    wells: str | None,
    columns: str | None,
    overwrite: bool,
) -> int:
    """Write a table of RESULTS, the results folder of `hcs run`, as one file.

    Example: hcs export results --csv wells.csv

    RESULTS/columns.csv has the unit and the definition of every column. In Python, hcs.open_results gives the same
    tables without a file.
    """
    from hcs.errors import ConfigError
    from hcs.store.atomic import check_free
    from hcs.store.results.anndata import export_anndata
    from hcs.store.results.export import SHEET_ROWS, Selection, export_csv, export_parquet
    from hcs.store.results.folder import open_results
    from hcs.store.results.tracks import export_ctc, export_geff, export_napari

    opened = open_results(results)
    chosen_wells = _wells(opened, wells)
    chosen_columns = tuple(name.strip() for name in columns.split(",")) if columns else None
    ways = (
        (csv_path, export_csv, "wells"),
        (parquet_path, export_parquet, "nuclei"),
        (anndata_path, export_anndata, "nuclei"),
    )
    of_tracks = ((ctc_path, export_ctc), (geff_path, export_geff), (napari_path, export_napari))
    if not any(path for path, *_ in (*ways, *of_tracks)):
        raise ConfigError(
            "nothing to export; say --csv FILE, --parquet FILE, --anndata FILE or, of tracks, --ctc FOLDER"
        )
    for path, option in ((csv_path, "--csv"), (parquet_path, "--parquet"), (anndata_path, "--anndata")):
        if path is not None:
            check_free(path, option=option, overwrite=overwrite and not path.is_dir())
    for path, write, usual in ways:
        if path is not None:
            selection = Selection(table=table or usual, wells=chosen_wells, columns=chosen_columns)
            rows = write(opened, path, selection)
            click.echo(f"{path}: {rows:,} rows of {selection.table}")
            if write is export_csv and rows >= SHEET_ROWS:
                click.echo(f"A spreadsheet shows the first {SHEET_ROWS - 1:,} rows only; choose --wells.", err=True)
    for path, write_tracks in of_tracks:
        if path is not None:
            fields = write_tracks(opened, path, chosen_wells)
            click.echo(f"{path}: tracks of {fields:,} field(s)")
    return 0


def _wells(results: Results, patterns: str | None) -> tuple[str, ...] | None:
    """The wells of the run that ``patterns`` name, None for all."""
    from hcs.plate.keys import select_wells

    if patterns is None:
        return None
    wells = tuple(sorted({key.well for key in results.keys()}))  # noqa: SIM118
    return tuple(str(well) for well in select_wells(wells, patterns))
