"""The command line: options in, one function of the library each, sentences and exit codes out.

Imports of the work itself are inside the commands, so that ``hcs --help`` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from hcs import __version__
from hcs.errors import HcsError

if TYPE_CHECKING:
    from hcs.config import Config
    from hcs.store.ledger import LedgerEntry
    from hcs.store.nodes import Ngff

EXIT_FAILED_WELLS = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130

_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)


def main() -> None:
    """Entry point of ``hcs``: exit 0 when all is fine, 1 when wells failed, 2 on bad input or usage."""
    try:
        sys.exit(commands.main(standalone_mode=False))
    except click.exceptions.Abort:
        click.echo("hcs: stopped; the same command goes on where it stopped", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_BAD_INPUT)
    except HcsError as error:
        click.echo(f"hcs: {error}", err=True)
        sys.exit(EXIT_BAD_INPUT)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="hcs")
def commands() -> None:
    """Distributed processor for high-content screens.

    Finds and measures every nucleus of an OME-Zarr plate and reads out Z′ per compound and the cell cycle. Try
    `hcs demo`.
    """


def _config_options(command: Callable[..., Any]) -> Callable[..., Any]:
    options = [
        click.option("--config", "config_path", type=_FILE, help="YAML settings; see `hcs config schema`."),
        click.option("--model", help="Shipped model (fast) or a .safetensors file.  [default: fast]"),
        click.option(
            "--device",
            type=click.Choice(["cpu", "cuda"]),
            default="cpu",
            show_default=True,
            help="Where the network runs.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _read_config(path: Path | None, **changes: Any) -> Config:
    from hcs.config import Config
    from hcs.store.config import read_config

    config = Config() if path is None else read_config(path)
    return config.override(**{k: _index_or_name(v) if k in ("dna", "sensor") else v for k, v in changes.items()})


def _index_or_name(channel: str | None) -> str | int | None:
    """A channel given as digits is an index."""
    return int(channel) if channel is not None and channel.isdigit() else channel


@commands.command()
@click.argument("plate", type=str)
@click.option("--out", required=True, type=_FOLDER, help="Results folder; an earlier run of the same kind goes on.")
@_config_options
@click.option("--plate-map", type=_FILE, help="CSV or Parquet: well, role, compound, dose, unit.")
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

    config = _read_config(config_path, model=model, dna=dna, sensor=sensor, labels=labels)
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
    click.echo(f"\n{_where(out)}")
    return _exit_code(summary.failed)


def _where(out: Path) -> str:
    return (
        f"Nucleus table   {out}/nuclei/       pd.read_parquet({str(out / 'nuclei')!r})\n"
        f"Readout tables  {out}/wells.parquet, compounds.parquet, plate.parquet; columns.csv defines every column\n"
        f"Report          {out}/report.html"
    )


def _exit_code(unfinished: tuple[LedgerEntry, ...]) -> int:
    """1, after naming the fields without a result, or 0."""
    if not unfinished:
        return 0
    click.echo(f"\n{len(unfinished)} field(s) without a result:", err=True)
    for entry in unfinished[:20]:
        click.echo(f"  {entry.field}  {entry.status}: {entry.reason}", err=True)
    if len(unfinished) > 20:
        click.echo(f"  … and {len(unfinished) - 20} more; `hcs status` lists all", err=True)
    return EXIT_FAILED_WELLS


@commands.command()
@click.argument("results", type=_FOLDER)
@click.option("--config", "config_path", type=_FILE, help="Settings whose `readout` section replaces the run's own.")
def readout(results: Path, config_path: Path | None) -> int:
    """Make the readouts of RESULTS again from its nucleus table, without touching images."""
    from hcs.report.text import console_summary
    from hcs.run.finish import finish
    from hcs.store.config import read_config

    settings = read_config(config_path).readout if config_path is not None else None
    click.echo(console_summary(finish(results, settings)))
    click.echo(f"\n{_where(results)}")
    return 0


@commands.command()
@click.argument("results", type=_FOLDER)
@click.option("--fields", is_flag=True, help="One line a field instead of a well.")
def status(results: Path, fields: bool) -> int:
    """What became of every expected well of RESULTS: ok, empty, failed (why), pending."""
    from hcs.run.status import status_lines, unfinished
    from hcs.store.results import open_results

    opened = open_results(results)
    for line in status_lines(opened, by_field=fields):
        click.echo(line)
    return EXIT_FAILED_WELLS if unfinished(opened) else 0


@commands.command()
@click.argument("images", type=_FOLDER)
@click.argument("labels", type=_FOLDER)
@_config_options
def segment(images: Path, labels: Path, config_path: Path | None, model: str | None, device: str) -> int:
    """Find nuclei in every 2-D .png/.tif of IMAGES; write label images of the same names to LABELS.

    Labels are 16-bit (32-bit TIFF beyond 65,535 nuclei): 0 background, 1..n nuclei.
    """
    from hcs.run.folder import segment_folder

    summary = segment_folder(images, labels, _read_config(config_path, model=model), device=device, say=click.echo)
    total = sum(summary.nuclei.values())
    click.echo(f"{total:,} nuclei in {len(summary.nuclei)} images; {len(summary.failed)} failed")
    return EXIT_FAILED_WELLS if summary.failed else 0


@commands.command()
@click.argument("truth", type=_FOLDER)
@click.argument("predictions", type=_FOLDER, nargs=-1, required=True)
@click.option("--out", required=True, type=_FOLDER, help="Folder of tables, figures and evaluation.html.")
@click.option("--ignore", type=_FOLDER, help="Images; pixels other than 0 are neither truth nor error.")
@click.option(
    "--images", type=_FOLDER, help="Images of one channel, to measure nuclei in and to show the worst fields."
)
@click.option(
    "--stratify-by",
    help="Value of a nucleus: area, mean, content (DNA), ratio (ring / nucleus), or a column of the nucleus table.  "
    "[default: mean, with --images]",
)
@click.option("--value-bounds", help="Values between low, medium, high: A,B.  [default: terciles of truth]")
@click.option("--size-bounds", help="Areas between tiny, small, normal, large, px: A,B,C.  [default: quantiles]")
def evaluate(
    truth: Path,
    predictions: tuple[Path, ...],
    out: Path,
    ignore: Path | None,
    images: Path | None,
    stratify_by: str | None,
    value_bounds: str | None,
    size_bounds: str | None,
) -> int:
    """Score label images of one or more PREDICTIONS folders against those of TRUTH.

    Files go together by name. F1, AP, panoptic quality, outlines and pixels, named errors, and paired differences with
    bootstrap intervals over images. For instance: hcs evaluate labels ours theirs --out scores --images images
    """
    from hcs.evaluate.settings import EvaluateSettings
    from hcs.report.evaluation_text import console_scores
    from hcs.run.evaluation import evaluate_folders
    from hcs.run.evaluation_files import Folders

    settings = EvaluateSettings(
        value_bounds=_numbers(value_bounds, "--value-bounds"), size_bounds=_numbers(size_bounds, "--size-bounds")
    )
    folders = Folders(truth, predictions, ignore, images)
    evaluation, notes = evaluate_folders(
        folders, out, settings, stratify_by=stratify_by, say=lambda line: click.echo(line, err=True)
    )
    click.echo(console_scores(evaluation))
    for note in notes:
        click.echo(note)
    click.echo(f"\nPage    {out}/evaluation.html\nTables  {out}/*.parquet, *.csv; columns.csv defines every column")
    return 0


def _numbers(text: str | None, option: str) -> Any:
    """Numbers parted by commas as a tuple, whose length and order the settings check."""
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a list of numbers such as 250,625,900", param_hint=option) from None


@commands.command()
@click.argument("plate", type=click.Path(path_type=Path))
@click.option("--wells", default=96, show_default=True, help="Wells of the plate.")
@click.option("--fields", default=1, show_default=True, help="Fields a well.")
@click.option("--size", default=512, show_default=True, help="Side of a field, px.")
@click.option("--seed", default=0, show_default=True, help="Same seed, same plate.")
@click.option("--nucleus-diameter", default=24.0, show_default=True, help="Diameter of a G1 nucleus, px.")
@click.option("--ngff", type=click.Choice(["0.5", "0.4"]), default="0.5", show_default=True, help="OME-Zarr version.")
def simulate(plate: Path, wells: int, fields: int, size: int, seed: int, nucleus_diameter: float, ngff: Ngff) -> int:
    """Write a synthetic two-channel plate with known truth to PLATE.

    Beside it: PLATE's name with .platemap.csv, and .truth.parquet (one row a true nucleus). True labels are in the
    plate as labels/truth.
    """
    from hcs.run.simulation import write_simulation
    from hcs.simulate.settings import SimulationSettings

    settings = SimulationSettings(
        wells=wells, fields=fields, size_px=size, seed=seed, nucleus_diameter_px=nucleus_diameter
    )
    written = write_simulation(plate, settings, ngff=ngff)
    click.echo(f"Plate      {plate}\nPlate map  {written.plate_map}\nTruth      {written.truth}")
    return 0


@commands.command()
@click.argument("source", type=_FOLDER)
@click.argument("plate", type=click.Path(path_type=Path))
@click.option("--layout", type=click.Choice(["bbbc013"]), help="A known layout of folder and file names.")
@click.option("--pattern", help="Regular expression with groups well (or row, column), optionally field, channel.")
@click.option("--channels", help="Channel names, in the sorted order of the channel group.")
@click.option("--pixel-size-um", type=float, help="Pixel size, µm.")
@click.option("--plate-map", type=_FILE, help="Check that this plate map fits the plate.")
@click.option("--ngff", type=click.Choice(["0.5", "0.4"]), default="0.5", show_default=True, help="OME-Zarr version.")
def convert(
    source: Path,
    plate: Path,
    layout: Literal["bbbc013"] | None,
    pattern: str | None,
    channels: str | None,
    pixel_size_um: float | None,
    plate_map: Path | None,
    ngff: Ngff,
) -> int:
    """Turn SOURCE, a folder of TIFF or PNG files, into the OME-Zarr plate PLATE.

    For instance: --pattern '(?P<well>[A-P]\\d\\d)_s(?P<field>\\d+)_w(?P<channel>\\d)\\.tif$'
    """
    from hcs.run.conversion import convert_and_check

    names = tuple(name.strip() for name in channels.split(",")) if channels else None
    lines = convert_and_check(
        source,
        plate,
        layout=layout,
        pattern=pattern,
        channels=names,
        pixel_size_um=pixel_size_um,
        ngff=ngff,
        plate_map_path=plate_map,
    )
    for line in lines:
        click.echo(line)
    return 0


@commands.command()
@click.option("--out", type=_FOLDER, default=Path("demo-out"), show_default=True, help="Folder of plate and results.")
@click.option("--wells", default=96, show_default=True, help="Wells of the plate.")
@click.option("--workers", type=int, help="Local worker processes.  [default: one for every core]")
def demo(out: Path, wells: int, workers: int | None) -> int:
    """Simulate a small plate, process it, and compare the readouts with the truth."""
    from hcs.report.text import console_summary
    from hcs.run.cluster import Workers
    from hcs.run.demo import run_demo

    result = run_demo(out, wells=wells, workers=Workers(count=workers), say=click.echo)
    click.echo(console_summary(result.summary.readouts))
    click.echo("\nMeasured against the simulated truth")
    for line in result.comparison:
        click.echo(f"  {line}")
    click.echo(f"\n{_where(result.summary.out)}")
    return _exit_code(result.summary.failed)


@commands.group()
def config() -> None:
    """Show settings: their schema, or a file with all defaults filled in."""


@config.command()
def schema() -> int:
    """Print the JSON schema of the YAML settings."""
    import json

    from hcs.config import Config

    click.echo(json.dumps(Config.model_json_schema(), indent=2))
    return 0


@config.command()
@click.argument("path", type=_FILE, required=False)
def show(path: Path | None) -> int:
    """Print the settings of PATH, or the defaults, with every key filled in."""
    import yaml

    settings = _read_config(path).model_dump(mode="json")
    click.echo(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), nl=False)
    return 0


@commands.command()
@click.argument("data", type=_FOLDER)
@click.option(
    "--config", "config_path", type=_FILE, help="YAML training settings; configs/train/ holds the shipped ones."
)
@click.option("--out", required=True, type=_FOLDER, help="Folder of the run: checkpoint, history.csv, model.")
@click.option("--name", default="model", show_default=True, help="Name of the model that is written to --out.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="Where to train.")
def train(data: Path, config_path: Path | None, out: Path, name: str, device: str) -> int:
    """Train the U-Net on DATA (index.csv, train/ and val/ with images/ and labels/).

    A run that was stopped goes on from its last checkpoint, with the result of an uninterrupted one.
    """
    from hcs.run.training import train_model

    path = train_model(data, config_path, out, name=name, device=device, say=click.echo)
    click.echo(f"Model  {path}")
    return 0
