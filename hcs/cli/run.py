"""`hcs run`, `readout`, `status`: plates in, results out."""

from __future__ import annotations

from pathlib import Path

import click

from hcs.cli.common import EXIT_FAILED_WELLS, FILE, FOLDER, config_options, configuration, exit_code, where


@click.command()
@click.argument("plate", type=str)
@click.option("--out", required=True, type=FOLDER, help="Results folder; an earlier run of the same kind goes on.")
@config_options
@click.option("--plate-map", type=FILE, help="CSV or Parquet: well, role, compound, dose, unit.")
@click.option("--dna", help="DNA channel, name or 0-based index.")
@click.option("--sensor", help="Sensor channel, name or 0-based index.")
@click.option("--wells", help="Only these wells: names and wildcards, such as B03,C*.")
@click.option("--workers", type=int, help="Local worker processes.  [default: one for every core]")
@click.option("--scheduler", help="Address of a running dask scheduler, such as tcp://host:8786.")
@click.option(
    "--labels",
    type=click.Choice(["plate", "out", "none"]),
    help="Write nucleus labels into the plate, into --out, or nowhere.  [default: plate]",
)
def run(
    plate: str,
    out: Path,
    config_path: Path | None,
    model: str | None,
    device: str,
    plate_map: Path | None,
    dna: str | None,
    sensor: str | None,
    wells: str | None,
    workers: int | None,
    scheduler: str | None,
    labels: str | None,
) -> int:
    """Process PLATE (an OME-Zarr plate): nuclei, measurements, readouts and report, into --out.

    Can be stopped and started again at any moment; finished fields are kept.
    """
    from hcs.report.text import console_summary
    from hcs.run.cluster import Workers
    from hcs.run.run import run_plate

    config = configuration(config_path, model=model, dna=dna, sensor=sensor, labels=labels)
    summary = run_plate(
        plate,
        out,
        config,
        plate_map_path=plate_map,
        wells=wells,
        workers=Workers(count=workers, scheduler=scheduler, device=device),
    )
    click.echo(console_summary(summary.readouts))
    for note in summary.notes:
        click.echo(note)
    click.echo(f"\n{where(out)}")
    return exit_code(summary.failed)


@click.command()
@click.argument("results", type=FOLDER)
@click.option("--config", "config_path", type=FILE, help="Settings whose `readout` section replaces the run's own.")
def readout(results: Path, config_path: Path | None) -> int:
    """Make the readouts of RESULTS again from its nucleus table, without touching images."""
    from hcs.report.text import console_summary
    from hcs.run.finish import finish
    from hcs.store.config import read_config

    settings = read_config(config_path).readout if config_path is not None else None
    click.echo(console_summary(finish(results, settings)))
    click.echo(f"\n{where(results)}")
    return 0


@click.command()
@click.argument("results", type=FOLDER)
@click.option("--fields", is_flag=True, help="One line a field instead of a well.")
def status(results: Path, fields: bool) -> int:
    """What became of every expected well of RESULTS: ok, empty, failed (why), pending."""
    from hcs.run.status import status_lines, unfinished
    from hcs.store.results import open_results

    opened = open_results(results)
    for line in status_lines(opened, by_field=fields):
        click.echo(line)
    return EXIT_FAILED_WELLS if unfinished(opened) else 0
