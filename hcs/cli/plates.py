"""`hcs simulate`, `convert`, `demo`: where plates come from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from hcs.cli.common import EXIT_FAILED_WELLS, FILE, FOLDER, exit_code, where

if TYPE_CHECKING:
    from hcs.store.plate.nodes import Ngff


@click.command(short_help="Write a synthetic plate with known truth.")
@click.argument("plate", type=click.Path(path_type=Path))
@click.option("--wells", default=96, show_default=True, help="Wells of the plate.")
@click.option("--fields", default=1, show_default=True, help="Fields a well.")
@click.option("--size", default=512, show_default=True, help="Side of a field, px.")
@click.option("--seed", default=0, show_default=True, help="Same seed, same plate.")
@click.option("--nucleus-diameter", default=24.0, show_default=True, help="Diameter of a G1 nucleus, px.")
@click.option(
    "--dead-brightness",
    nargs=2,
    type=float,
    metavar="LOW HIGH",
    help="Make the cells that a compound killed this many times as bright as living ones, with halo and fragments.",
)
@click.option("--frames", default=1, show_default=True, help="Time points: cells move, divide, die, enter and leave.")
@click.option("--interval-min", default=20.0, show_default=True, help="Minutes between frames.")
@click.option("--cycle-h", default=12.0, show_default=True, help="Mean cell cycle of untreated cells, h.")
@click.option(
    "--sensor",
    type=click.Choice(["CDK2", "KTR", "LEXY"]),
    default="CDK2",
    show_default=True,
    help="Sensor of a movie: follows the cell cycle, a stimulus, or light.",
)
@click.option("--stimulus-min", default=120.0, show_default=True, help="When stimulus or light come.")
@click.option("--light-ratio", default=1.7, show_default=True, help="Ratio under light; at 1 nuclei cannot be seen.")
@click.option("--bleaching", default=0.0, show_default=True, help="Share of the light lost from frame to frame.")
@click.option("--drift", "drift_px", default=0.0, show_default=True, help="Step of the stage from frame to frame, px.")
@click.option("--ngff", type=click.Choice(["0.5", "0.4"]), default="0.5", show_default=True, help="OME-Zarr version.")
def simulate(
    plate: Path,
    wells: int,
    fields: int,
    size: int,
    seed: int,
    nucleus_diameter: float,
    dead_brightness: tuple[float, float] | None,
    frames: int,
    interval_min: float,
    cycle_h: float,
    sensor: Literal["CDK2", "KTR", "LEXY"],
    stimulus_min: float,
    light_ratio: float,
    bleaching: float,
    drift_px: float,
    ngff: Ngff,
) -> int:
    """Write a synthetic two-channel plate with known truth to PLATE.

    Beside it: PLATE's name with .platemap.csv, and .truth.parquet (one row a true nucleus). True labels are in the
    plate as labels/truth. With --frames, labels/truth has the tracks, and .lineage.parquet one row a cell: its mother,
    when it was born, divided or died, and what its CDK2 activity did.
    """
    from hcs.commands.simulate import write_simulation
    from hcs.simulate.settings import SimulationSettings

    settings = SimulationSettings(
        wells=wells,
        fields=fields,
        size_px=size,
        seed=seed,
        nucleus_diameter_px=nucleus_diameter,
        dead_brightness=dead_brightness,
        frames=frames,
        interval_min=interval_min,
        cycle_h=cycle_h,
        sensor=sensor,
        stimulus_min=stimulus_min,
        light_ratio=light_ratio,
        bleaching=bleaching,
        drift_px=drift_px,
    )
    written = write_simulation(plate, settings, ngff=ngff)
    click.echo(f"Plate      {plate}\nPlate map  {written.plate_map}\nTruth      {written.truth}")
    if frames > 1:
        click.echo(f"Lineage    {written.lineage}")
    return 0


def _list_layouts(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from hcs.store.microscopes.layouts import described

        click.echo("\n".join(described()))
        context.exit()


@click.command(short_help="Turn a microscope's folder into a plate.")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("plate", type=click.Path(path_type=Path))
@click.option("--layout", help="The kind of folder, where it is not recognised.")
@click.option(
    "--list-layouts",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_layouts,
    help="Show the kinds of folders that are known.",
)
@click.option("--pattern", help="Regular expression with groups well (or row, column) and field, channel, z, t if any.")
@click.option(
    "--channels", help="Channel names: FILE=NAME for some, or NAMEs in the order in which the channels are shown."
)
@click.option(
    "--z",
    help="Several z planes: max (maximum projection), keep, projection (the microscope's), or one plane, such as 03.",
)
@click.option("--t", help="Several time points: all, as a plate with time, or the one to take, such as 1.")
@click.option("--interval-min", type=float, help="Minutes between time points, instead of the folder's.")
@click.option("--plate-format", type=int, help="Wells of the plate, where wells are running numbers.")
@click.option("--pixel-size-um", type=float, help="Pixel size, µm, instead of the folder's.")
@click.option("--plate-map", type=FILE, help="Check that this plate map fits the plate.")
@click.option("--workers", type=int, help="Processes that convert.  [default: one for every core]")
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

    What was understood is shown first: which files are which channel, field and plane. Every field is read back and
    compared with its files; stopped and begun again, the conversion goes on. Exit code 1 where a file is missing or
    damaged; the plate has the rest. `hcs run SOURCE` needs no conversion: it reads the files where they are.
    """
    from hcs.commands.convert import convert_and_check

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
        ngff=ngff,
        plate_map_path=plate_map,
        workers=workers,
        say=click.echo,
    )
    for line in done.lines:
        click.echo(line)
    return EXIT_FAILED_WELLS if done.left_out else 0


@click.command(short_help="Simulate a small plate, process it, compare with the truth.")
@click.option("--out", type=FOLDER, default=Path("demo-out"), show_default=True, help="Folder of plate and results.")
@click.option("--wells", default=96, show_default=True, help="Wells of the plate.")
@click.option("--workers", type=int, help="Local worker processes.  [default: one for every core]")
def demo(out: Path, wells: int, workers: int | None) -> int:
    """Simulate a small plate, process it, and compare the readouts with the truth."""
    from hcs.commands.demo import run_demo
    from hcs.engine.cluster import Workers
    from hcs.report.text import console_summary

    result = run_demo(out, wells=wells, workers=Workers(count=workers), say=click.echo)
    click.echo(console_summary(result.summary.readouts))
    click.echo("\nMeasured against the simulated truth")
    for line in result.comparison:
        click.echo(f"  {line}")
    click.echo(f"\n{where(result.summary.out)}")
    return exit_code(result.summary.failed)
