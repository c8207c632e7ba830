"""`hcs simulate`, `convert`, `demo`: where plates come from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from hcs.cli.common import EXIT_FAILED_WELLS, FILE, FOLDER, exit_code, where

if TYPE_CHECKING:
    from hcs.store.plate.nodes import Ngff


@click.command(short_help="Make a synthetic plate with known truth.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The plate, such as plate.zarr.")
@click.option("--n-wells", default=96, show_default=True, help="Number of wells.")
@click.option("--n-fields", default=1, show_default=True, help="Number of fields in a well.")
@click.option("--size-px", default=512, show_default=True, help="Side of a field.")
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same plate.")
@click.option("--diameter-px", default=24.0, show_default=True, help="Diameter of a G1 nucleus.")
@click.option(
    "--dead-brightness",
    nargs=2,
    type=float,
    metavar="LOW HIGH",
    help="Dead cells are this many times as bright as living cells, with halo and fragments.  [default: not brighter]",
)
@click.option(
    "--cells",
    type=click.Choice(["even", "uneven"]),
    default="even",
    show_default=True,
    help="Uneven cells part anywhere, overlap, and are unevenly bright.",
)
@click.option("--n-frames", default=1, show_default=True, help="Number of frames. Cells move, divide, die and leave.")
@click.option("--interval-min", default=20.0, show_default=True, help="Minutes between two frames.")
@click.option("--cycle-h", default=12.0, show_default=True, help="Mean cell cycle of untreated cells, in hours.")
@click.option(
    "--sensor",
    type=click.Choice(["CDK2", "KTR", "LEXY"]),
    default="CDK2",
    show_default=True,
    help="Sensor, with --n-frames. CDK2 follows the cell cycle, KTR a stimulus, LEXY light.",
)
@click.option("--stimulus-min", default=120.0, show_default=True, help="Minute at which the stimulus or light begins.")
@click.option("--light-ratio", default=1.7, show_default=True, help="Ratio under light; at 1 nuclei cannot be seen.")
@click.option("--bleaching", default=0.0, show_default=True, help="Part of the light that is lost with every frame.")
@click.option("--drift-px", default=0.0, show_default=True, help="Movement of the stage with every frame.")
@click.option("--ngff", type=click.Choice(["0.5", "0.4"]), default="0.5", show_default=True, help="OME-Zarr version.")
def simulate(
    out: Path,
    n_wells: int,
    n_fields: int,
    size_px: int,
    seed: int,
    diameter_px: float,
    dead_brightness: tuple[float, float] | None,
    cells: Literal["even", "uneven"],
    n_frames: int,
    interval_min: float,
    cycle_h: float,
    sensor: Literal["CDK2", "KTR", "LEXY"],
    stimulus_min: float,
    light_ratio: float,
    bleaching: float,
    drift_px: float,
    ngff: Ngff,
) -> int:
    """Make a synthetic plate with a DNA and a sensor channel, and with known truth.

    Three files come with plate.zarr. plate.platemap.csv is the plate map. plate.truth.parquet has one row for every
    true nucleus. The plate itself has the true labels, as labels/truth.

    With --n-frames, labels/truth has the tracks. plate.lineage.parquet then has one row for every cell: its mother,
    when it was born, divided or died, and its CDK2 activity.
    """
    from hcs.commands.simulate import write_simulation
    from hcs.simulate.settings import SimulationSettings

    settings = SimulationSettings(
        wells=n_wells,
        fields=n_fields,
        size_px=size_px,
        seed=seed,
        nucleus_diameter_px=diameter_px,
        dead_brightness=dead_brightness,
        cells=cells,
        frames=n_frames,
        interval_min=interval_min,
        cycle_h=cycle_h,
        sensor=sensor,
        stimulus_min=stimulus_min,
        light_ratio=light_ratio,
        bleaching=bleaching,
        drift_px=drift_px,
    )
    written = write_simulation(out, settings, ngff=ngff)
    click.echo(f"Plate      {out}\nPlate map  {written.plate_map}\nTruth      {written.truth}")
    if n_frames > 1:
        click.echo(f"Lineage    {written.lineage}")
    return 0


def _list_layouts(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from hcs.store.microscopes.layouts import described

        click.echo("\n".join(described()))
        context.exit()


@click.command(short_help="Copy a microscope's folder into a plate.")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("plate", type=click.Path(path_type=Path))
@click.option("--layout", help="Kind of folder.  [default: recognised]")
@click.option(
    "--list-layouts",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_layouts,
    help="Show the known kinds of folders, and stop.",
)
@click.option(
    "--pattern", help="Regular expression of file names, with the groups well (or row, column), field, channel, z, t."
)
@click.option("--channels", help="Names of channels: A=B renames one; NAME,NAME,… names all, in the order shown.")
@click.option(
    "--z",
    help="Planes in z: max (maximum projection), keep (all), projection (the microscope's), or one, such as 03.",
)
@click.option("--t", help="Time points: all (a plate with time), or one, such as 1.")
@click.option("--interval-min", type=float, help="Minutes between two frames.  [default: as the folder says]")
@click.option("--times", type=FILE, help="CSV with a column minutes, a row a time point, where they are uneven.")
@click.option("--well", help="Well of all images, where their names tell none, such as A01.")
@click.option("--plate-format", type=int, help="Number of wells, where wells are running numbers.")
@click.option("--pixel-size-um", type=float, help="Size of a pixel.  [default: as the folder says]")
@click.option("--plate-map", type=FILE, help="Check that this plate map fits the plate.")
@click.option("--workers", type=int, help="Local worker processes.  [default: one for every core]")
@click.option("--ngff", type=click.Choice(["0.5", "0.4"]), default="0.5", show_default=True, help="OME-Zarr version.")
def convert(
    source: Path,
    plate: Path,
    layout: str | None,
    pattern: str | None,
    channels: str | None,
    z: str | None,
    t: str | None,
    interval_min: float | None,
    times: Path | None,
    well: str | None,
    plate_format: int | None,
    pixel_size_um: float | None,
    plate_map: Path | None,
    workers: int | None,
    ngff: Ngff,
) -> int:
    """Turn SOURCE, a folder as a microscope wrote it, into the OME-Zarr plate PLATE.

    Opera Phenix, Operetta, ImageXpress, CellVoyager, ScanR, Cellomics, IN Cell, Cytation, Incucyte, OME-XML, NDTiff,
    load_data.csv, .nd2, .czi and .lif are recognised. Any other names:
    --pattern '(?P<well>[A-P]\\d\\d)_s(?P<field>\\d+)\\.tif$'

    First the command shows which files it takes for which channel, field and plane. It reads every field back and
    compares it with the files. You can stop it; the same command then goes on. Exit code 1: a file is missing or
    damaged, and the plate has the rest. `hcs run SOURCE` needs no conversion: it reads the files where they are.
    """
    from hcs.commands.convert import convert_and_check
    from hcs.store.times import read_times

    names = tuple(name.strip() for name in channels.split(",")) if channels else None
    done = convert_and_check(
        source,
        plate,
        layout=layout,
        pattern=pattern,
        channels=names,
        z=z,
        t=t,
        plate_format=plate_format,
        pixel_size_um=pixel_size_um,
        interval_min=interval_min,
        times_min=None if times is None else read_times(times),
        well=well,
        ngff=ngff,
        plate_map_path=plate_map,
        workers=workers,
        say=click.echo,
    )
    for line in done.lines:
        click.echo(line)
    return EXIT_FAILED_WELLS if done.left_out else 0


@click.command(short_help="Simulate a plate, process it, compare with the truth.")
@click.option(
    "--out", type=FOLDER, default=Path("demo-out"), show_default=True, help="Folder of the plate and its results."
)
@click.option("--n-wells", default=96, show_default=True, help="Number of wells.")
@click.option("--workers", type=int, help="Local worker processes.  [default: one for every core]")
def demo(out: Path, n_wells: int, workers: int | None) -> int:
    """Simulate a small plate, process it, and compare the readouts with the truth."""
    from hcs.commands.demo import run_demo
    from hcs.engine.cluster import Workers
    from hcs.report.text import console_summary

    result = run_demo(out, wells=n_wells, workers=Workers(count=workers), say=click.echo)
    click.echo(console_summary(result.summary.readouts))
    click.echo("\nMeasured against the simulated truth")
    for line in result.comparison:
        click.echo(f"  {line}")
    click.echo(f"\n{where(result.summary.out)}")
    return exit_code(result.summary.failed)
