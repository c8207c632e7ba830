"""`hcs report`: results as a page to send around."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hcs.cli.common import FILE, PLACE

if TYPE_CHECKING:
    from hcs.store.location import Location


@click.command(short_help="Write the report page of one or more results folders.")
@click.argument("results", type=PLACE, nargs=-1, required=True)
@click.option("--out", type=FILE, help="Page of the overview of several RESULTS.  [default: overview.html]")
@click.option("--overwrite", is_flag=True, help="Replace --out if it exists.")
@click.option("--no-pictures", is_flag=True, help="Leave out the pictures of wells and nuclei; read no image.")
def report(results: tuple[Location, ...], out: Path | None, overwrite: bool, no_pictures: bool) -> int:
    """Write RESULTS/report.html, a page that needs no other file, and its charts to RESULTS/figures/.

    Several RESULTS get a page each, and one overview that compares them. Example: hcs report plate1 plate2 --out
    overview.html
    """
    from hcs.commands.report import report_results
    from hcs.store.atomic import check_free

    if out is not None and len(results) == 1:
        raise click.BadParameter("the overview needs two or more RESULTS; leave --out away", param_hint="--out")
    if len(results) > 1:
        check_free(out or Path("overview.html"), option="--out", overwrite=overwrite)
    report_results(results, out or Path("overview.html"), pictures=not no_pictures, say=click.echo)
    return 0
