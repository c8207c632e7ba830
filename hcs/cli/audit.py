"""`hcs audit-seams`: does it show where fields were cut?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hcs.cli.common import PLACE

if TYPE_CHECKING:
    from hcs.store.location import Location


@click.command(name="audit-seams", short_help="Test whether cutting fields changes nuclei.")
@click.argument("results", type=PLACE)
@click.option("--plate", help="Where the plate is now, if it was moved after the run.")
@click.option(
    "--sample", type=click.IntRange(min=1), default=4, show_default=True, help="Number of places to process again."
)
@click.option(
    "--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="Where the network runs."
)
def audit_seams(results: Location, plate: str | None, sample: int, device: str) -> int:
    """Process parts of the plate of RESULTS again, cut at other places, and compare the nuclei.

    The command says how many nuclei change at seams and elsewhere: nuclei lost, gained or with other pixels, and the
    differences of area and DNA content. It writes the table to RESULTS/seams.parquet.
    """
    from hcs.commands.audit_seams import audit_seams as run_audit
    from hcs.report.text import seams_text
    from hcs.store.results.folder import open_results

    found = run_audit(open_results(results, plate=plate), sample=sample, device=device, say=click.echo)
    click.echo("\n" + seams_text(found.table))
    return 0
