"""`hcs classify`: kinds of nuclei, taught by examples. Alone because its options are no other command's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hcs.cli.common import FILE, PLACE, where

if TYPE_CHECKING:
    from hcs.store.location import Location


@click.command(short_help="Tell kinds of nuclei apart by examples that you give.")
@click.argument("results", type=PLACE)
@click.option(
    "--examples",
    type=FILE,
    required=True,
    help="CSV with the columns nucleus (well/field/number, such as B03/0/17; of a plate with time "
    "well/field/frame/number) and class.",
)
def classify(results: Location, examples: Path) -> int:
    """Teach classes of nuclei by --examples, and make the readouts of RESULTS again with them.

    Needs two classes or more, ten examples of each, in two wells or more. Says how many examples are right on wells
    that the classifier had not seen. Every nucleus gets a class and a score (classes.parquet), every well the fraction
    of each class, which is a readout like any other.
    """
    from hcs.commands.classify import classify_results
    from hcs.report.text import console_summary

    readouts = classify_results(results, examples, say=click.echo)
    click.echo(console_summary(readouts))
    click.echo(f"\nClasses         {results}/classes.parquet\n{where(results)}")
    return 0
