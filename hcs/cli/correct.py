"""`hcs view`, `remeasure`: results in a viewer, and nuclei that were edited there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hcs.cli.common import EXIT_FAILED_WELLS, PLACE, where

if TYPE_CHECKING:
    from hcs.store.location import Location


@click.command(short_help="Measure nuclei again that were edited in a viewer.")
@click.argument("results", type=PLACE)
@click.option("--plate", type=PLACE, help="Where the plate is now, if it was moved since the run.")
@click.option("--workers", type=int, help="Local worker processes, where many fields were edited.  [default: cores]")
def remeasure(results: Location, plate: Location | None, workers: int | None) -> int:
    """Find the fields of RESULTS whose labels were edited since hcs wrote them (in the plate, or in RESULTS), measure
    these and no others, and make the readouts and the report again.

    Nuclei keep their numbers. fields.parquet says which fields were edited (Labels_Edited) and what changed (Reason).
    Exit code 1 where an edited field cannot be measured; what was measured of it before stays.
    """
    from hcs.commands.remeasure import remeasure as measure_again
    from hcs.engine.cluster import Workers
    from hcs.report.text import console_summary
    from hcs.store.results.folder import open_results

    readouts, failed = measure_again(open_results(results, plate=plate), workers=Workers(count=workers), say=click.echo)
    if readouts is not None:
        click.echo(console_summary(readouts))
        click.echo(f"\n{where(results)}")
    for entry in failed:
        click.echo(f"  {entry.field}  not measured: {entry.reason}", err=True)
    return EXIT_FAILED_WELLS if failed else 0


@click.command(short_help="Look at results in napari, and edit nuclei.")
@click.argument("results", type=PLACE)
@click.argument("well", required=False)
@click.option("--field", default=0, show_default=True, help="Field of the well, counted from 0.")
@click.option("--plate", type=PLACE, help="Where the plate is now, if it was moved since the run.")
def view(results: Location, well: str | None, field: int, plate: Location | None) -> int:
    """Open a field of RESULTS in napari: its channels, and its nuclei with their table.

    WELL is a name such as B03, by default the first of the plate. Nuclei that you edit are saved by the button `Save
    edited nuclei`; `hcs remeasure RESULTS` measures them then. napari is installed by: pip install 'napari[pyqt6]'
    """
    from hcs.commands.view import find_napari
    from hcs.commands.view import view as show
    from hcs.store.results.folder import open_results

    opened = open_results(results, plate=plate)
    find_napari()
    show(opened, well, field, say=click.echo)
    return 0
