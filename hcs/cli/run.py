"""`hcs run`, `readout`, `status`: plates in, results out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hcs.cli.common import (
    EXIT_FAILED_WELLS,
    FILE,
    PLACE,
    config_options,
    configuration,
    exit_code,
    plate_options,
    scheduler_options,
    where,
)

if TYPE_CHECKING:
    from hcs.config import Config
    from hcs.engine.cluster import Workers
    from hcs.run.plates import PlateRun
    from hcs.store.location import Location


@click.command(short_help="Process a plate, or several: nuclei, readouts, report.")
@click.argument("plates", type=str, nargs=-1, required=True, metavar="PLATE…")
@click.option("--out", required=True, type=PLACE, help="Results folder. A run that was stopped goes on.")
@config_options
@plate_options
@click.option("--workers", type=int, help="Local worker processes.  [default: one for every core]")
@scheduler_options
@click.option("--cluster", type=click.Choice(["slurm"]), help="Start workers as jobs, by `cluster` of the settings.")
@click.option(
    "--illumination",
    help="Correct uneven light: none, estimate, plate (the microscope's flat-field), or an .npz file.  [default: plate "
    "where the microscope has one]",
)
@click.option(
    "--background", help="Background of ratios: auto, field, plate, LEVEL or CHANNEL=LEVEL,…  [default: auto]"
)
@click.option("--exclude-flagged", is_flag=True, help="Leave fields with a flag of image quality out of the readouts.")
@click.option(
    "--labels-from",
    help="Measure the nuclei of another tool: the name of labels in PLATE, or a folder of label images.",
)
@click.option("--overwrite-labels", is_flag=True, help="Replace labels that this run did not write.")
def run(
    plates: tuple[str, ...],
    out: Location,
    config_path: Path | None,
    model: str | None,
    diameter_px: float | None,
    device: str,
    plate_map: str | None,
    dna: str | None,
    sensor: str | None,
    nuclei: str | None,
    cells: str | None,
    cells_model: str | None,
    wells: str | None,
    acquisition: int | str | None,
    images: str | None,
    interval_min: float | None,
    times: Path | None,
    workers: int | None,
    scheduler: str | None,
    certificates: Path | None,
    unencrypted: bool,
    cluster: str | None,
    labels: str | None,
    labels_name: str | None,
    folder: tuple[tuple[str, str], ...],
    illumination: str | None,
    background: str | None,
    exclude_flagged: bool,
    labels_from: str | None,
    overwrite_labels: bool,
) -> int:
    """Find and measure every nucleus of PLATE, then write tables and a report to --out.

    PLATE is an OME-Zarr plate or a microscope's folder (`hcs convert --list-layouts`). The images of such a folder are
    read where they are, and labels go to --out.

    You can stop the command at any moment; the same command then goes on, and finished fields are kept. Give several
    plates, or a pattern in quotes such as 'plates/*.zarr', and each gets a folder in --out; the control wells of all
    plates come first. PLATE and --out may be URLs: s3://, gs://, and https:// to read from.
    """
    from hcs.engine.warm import warm_up
    from hcs.machine import uncollected

    if device == "cpu" and scheduler is None and cluster is None:
        warm_up()  # beside all that comes before the first field
    with uncollected():
        from hcs.engine.cluster import Workers
        from hcs.run.plates import find_plates, is_many
        from hcs.run.run import run_plate

    config = configuration(
        config_path,
        model=model,
        diameter_px=diameter_px,
        dna=dna,
        sensor=sensor,
        nuclei=nuclei,
        cells=cells,
        cells_model=cells_model,
        labels=labels,
        acquisition=acquisition,
        images=images,
        interval_min=interval_min,
        times=times,
        labels_name=labels_name,
        folder=folder,
        labels_from=labels_from,
        illumination=illumination,
        background=background,
        exclude_flagged=exclude_flagged or None,
    )
    who = Workers(
        count=workers,
        scheduler=scheduler,
        certificates=certificates,
        unencrypted=unencrypted,
        device=device,
        cluster=cluster,
        jobs=config.cluster,
    )
    if is_many(plates):
        return _run_many(
            find_plates(plates, out),
            out,
            config,
            plate_map=plate_map,
            wells=wells,
            workers=who,
            overwrite_labels=overwrite_labels,
        )
    summary = run_plate(
        plates[0],
        out,
        config,
        plate_map=plate_map,
        wells=wells,
        workers=who,
        overwrite_labels=overwrite_labels,
        say=click.echo,
    )
    from hcs.report.text import console_summary

    click.echo(console_summary(summary.readouts))
    for note in summary.notes:
        click.echo(note)
    click.echo(f"\n{where(out)}")
    return exit_code(summary.failed)


def _run_many(
    runs: tuple[PlateRun, ...],
    out: Location,
    config: Config,
    *,
    plate_map: str | None,
    wells: str | None,
    workers: Workers,
    overwrite_labels: bool,
) -> int:
    """Run the plates and count how they ended; 1 where any failed or has failed fields."""
    from hcs.run.run import run_many

    run_many(
        runs,
        out,
        config,
        plate_map=plate_map,
        wells=wells,
        workers=workers,
        overwrite_labels=overwrite_labels,
        say=click.echo,
    )
    bad = [run for run in runs if run.status != "ok"]
    click.echo(f"\n{len(runs)} plates, {len(runs) - len(bad)} ok; {out}/plates.csv lists them")
    for run in bad:
        click.echo(f"  {run.name}  {run.status}: {run.reason or f'see `hcs status {run.out}`'}", err=True)
    return EXIT_FAILED_WELLS if bad else 0


@click.command(short_help="Make readouts and report again, with other settings.")
@click.argument("results", type=PLACE)
@click.option(
    "--config", "config_path", type=FILE, help="YAML settings. Their `readout` section replaces that of the run."
)
@click.option("--plate-map", help="A plate map that replaces that of the run, such as a corrected one.")
@click.option("--exclude-flagged", is_flag=True, help="Leave fields with a flag of image quality out of the readouts.")
def readout(results: Location, config_path: Path | None, plate_map: str | None, exclude_flagged: bool) -> int:
    """Make the readouts and the report of RESULTS again. No image is processed again."""
    from hcs.report.text import console_summary
    from hcs.run.finish import finish
    from hcs.run.new_map import read_new_map
    from hcs.store.config import read_config
    from hcs.store.location import location

    settings = read_config(config_path).readout if config_path is not None else None
    new = read_new_map(results, location(plate_map)) if plate_map else None
    for line in new.lines if new else ():
        click.echo(line)
    readouts = finish(results, settings, exclude_flagged=exclude_flagged, new_map=new)
    click.echo(console_summary(readouts))
    click.echo(f"\n{where(results)}")
    return 0


@click.command(short_help="Show which wells are done, empty, failed or pending.")
@click.argument("results", type=PLACE)
@click.option("--by-field", is_flag=True, help="Show one line for every field, not for every well.")
@click.option("--verify", is_flag=True, help="Compare every file of RESULTS with its checksum.")
def status(results: Location, by_field: bool, verify: bool) -> int:
    """Show the state of every well of RESULTS: ok, empty, failed (why), pending, or damaged (which file).

    With --verify, the command compares every file with what was written. It names each damaged file and the command
    that makes the file again. Exit code 1: a field has no result, or a file is damaged.
    """
    from hcs.commands.status import status_lines, unfinished
    from hcs.store.results.folder import open_results
    from hcs.store.results.verify import verify as compare

    opened = open_results(results)
    for line in status_lines(opened, by_field=by_field):
        click.echo(line)
    bad = bool(unfinished(opened))
    if verify:
        verified = compare(opened)
        click.echo("\n".join(verified.lines()))
        bad = bad or bool(verified.faults)
    return EXIT_FAILED_WELLS if bad else 0
