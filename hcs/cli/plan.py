"""`hcs plan`: what a run will take, before it is started."""

from __future__ import annotations

from pathlib import Path

import click

from hcs.cli.common import config_options, configuration, plate_options


@click.command(short_help="Estimate time, memory and storage of `hcs run`.")
@click.argument("plates", type=str, nargs=-1, required=True, metavar="PLATE…")
@config_options
@plate_options
@click.option("--workers", type=int, help="Worker processes to plan for.  [default: one for every core or GPU]")
def plan(
    plates: tuple[str, ...],
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
    labels: str | None,
    labels_name: str | None,
    folder: tuple[tuple[str, str], ...],
) -> int:
    """Estimate what `hcs run PLATE…` needs: time, memory, bytes and files. Say what is odd about the plates.

    The command checks channels, plate map, chunks and shards. It processes a few fields of each plate into a temporary
    folder, and writes nothing to the plates. PLATE may be a URL, a microscope's folder, or a pattern in quotes such as
    'plates/*.zarr'.
    """
    from hcs.engine.warm import warm_up

    if device == "cpu":
        warm_up()  # as `hcs run` does, so that a start takes as long here as there
    from hcs.commands.plan import forecast_lines, plan_plate, process_age_s
    from hcs.engine.cluster import Workers
    from hcs.run.plates import find_plate_map, find_plates

    launch_s = process_age_s()
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
    )
    seconds = 0.0
    runs = find_plates(plates, Path())
    for run in runs:
        found = plan_plate(
            run.path,
            config,
            plate_map_path=find_plate_map(plate_map, run.name),
            wells=wells,
            workers=Workers(count=workers, device=device),
            launch_s=launch_s,
            say=lambda line: click.echo(line, err=True),
        )
        for line in forecast_lines(run.name, found.forecast, found.probe):
            click.echo(line)
        for note in found.notes:
            click.echo(f"  note    {note}")
        seconds += found.forecast.seconds
    if len(runs) > 1:
        click.echo(f"{len(runs)} plates, one after another: {seconds / 3600:.1f} h")
    return 0
