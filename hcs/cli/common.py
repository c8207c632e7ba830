"""What the commands share: exit codes, option types, configuration, closing lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hcs.config import Config
    from hcs.store.location import Location
    from hcs.store.results.ledger import LedgerEntry

EXIT_FAILED_WELLS = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)


class _Place(click.ParamType["Location"]):
    """A folder, or a URL such as s3://bucket/results."""

    name = "folder or URL"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Location:
        """The folder or URL, which need not exist."""
        from hcs.store.location import location

        place = location(value)
        if isinstance(place, Path) and place.is_file():
            return self.fail(f"{value!r} is a file; give a folder", param, ctx)
        return place


PLACE = _Place()


class Acquisition(click.ParamType[int | str]):
    """The number of an acquisition, or ``all``."""

    name = "NUMBER|all"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """The number, or ``all``."""
        if value == "all" or isinstance(value, int):
            return str(value) if value == "all" else int(value)
        if str(value).isdecimal():
            return int(value)
        return self.fail(f"{value!r} is no number of an acquisition; give a number, or all", param, ctx)


class FolderSetting(click.ParamType[tuple[str, str]]):
    """A key of the settings' ``folder`` and its value."""

    name = "KEY=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """The key and the value."""
        key, sign, text = str(value).partition("=")
        return (key.strip(), text) if sign else self.fail(f"{value!r} is not KEY=VALUE, such as z=3", param, ctx)


def folder_settings(given: tuple[tuple[str, str], ...]) -> dict[str, Any] | None:
    """What ``--folder`` gave, for the settings."""
    settings: dict[str, Any] = dict(given)
    if "channels" in settings:
        settings["channels"] = [name.strip() for name in settings["channels"].split(",")]
    return settings or None


def config_options(command: Callable[..., Any]) -> Callable[..., Any]:
    options = [
        click.option("--config", "config_path", type=FILE, help="YAML settings; see `hcs config schema`."),
        click.option(
            "--model",
            help="fast, accurate, sensor, or a .safetensors file; A,B,C averages several.  [default: fast on a CPU, "
            "accurate on a GPU, sensor where --nuclei is the sensor channel]",
        ),
        click.option("--diameter-px", type=float, help="Typical diameter of nuclei.  [default: estimated]"),
        click.option(
            "--device",
            type=click.Choice(["cpu", "cuda"]),
            default="cpu",
            show_default=True,
            help="Where the network runs.",
        ),
    ]
    return _with(options, command)


def scheduler_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """A scheduler that somebody else has started."""
    options = [
        click.option("--scheduler", help="Address of a running dask scheduler, such as tls://host:8786."),
        click.option(
            "--certificates", type=FOLDER, help="Folder of `hcs certificates` that --scheduler was started with."
        ),
        click.option(
            "--unencrypted", is_flag=True, help="Allow --scheduler tcp://…; everybody on its network must be trusted."
        ),
    ]
    return _with(options, command)


def plate_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which wells and channels of a plate, and what is in them."""
    options = [
        click.option(
            "--plate-map",
            help="CSV, Excel (FILE.xlsx#SHEET) or Parquet: well, role, compound, dose, unit. For several plates: a "
            "folder of plate maps, or a name with {plate}.",
        ),
        click.option("--dna", help="DNA channel: its name or number, from 0."),
        click.option("--sensor", help="Sensor channel: its name or number, from 0."),
        click.option(
            "--nuclei", help="Channel to find nuclei in; the sensor's on a plate without DNA.  [default: --dna]"
        ),
        click.option(
            "--cells",
            help="Channel to grow nuclei to whole cells in, such as the sensor's.  [default: none; the cytoplasm is a "
            "ring]",
        ),
        click.option(
            "--cells-model",
            help="Model of whole cells to grow nuclei in: cells, or a .safetensors file.  [default: none; cells end "
            "where the channel is dark]",
        ),
        click.option("--wells", help="Only these wells: names and wildcards, such as B03,C*."),
        click.option("--acquisition", type=Acquisition(), help="Only this acquisition, or all."),
        click.option("--images", help="Only images of these names in the wells: names and wildcards, such as *_mip."),
        click.option(
            "--interval-min",
            type=float,
            help="Minutes between two frames.  [default: as the plate says]",
        ),
        click.option(
            "--times", type=FILE, help="CSV with a column minutes, one row a frame, where frames are unevenly apart."
        ),
        click.option(
            "--labels",
            type=click.Choice(["plate", "out", "none"]),
            help="Where to write the labels of nuclei: plate, out (into --out), or none.  [default: plate]",
        ),
        click.option("--labels-name", help="Name of the labels in each field.  [default: nuclei]"),
        click.option(
            "--folder",
            multiple=True,
            type=FolderSetting(),
            help="How a microscope's folder is understood, such as z=3 or channels=DAPI=DNA; layout, pattern, "
            "channels, z, t, plate_format, pixel_size_um, well.",
        ),
    ]
    return _with(options, command)


def _with(options: Sequence[Callable[..., Any]], command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command


def configuration(path: Path | None, *, folder: tuple[tuple[str, str], ...] = (), **changes: Any) -> Config:
    from hcs.config import Config
    from hcs.store.config import read_config
    from hcs.store.times import read_times

    times = changes.pop("times", None)
    config = Config() if path is None else read_config(path)
    return config.override(
        folder=folder_settings(folder),
        times_min=None if times is None else read_times(times),
        **{k: index_or_name(v) if k in ("dna", "sensor", "nuclei", "cells") else v for k, v in changes.items()},
    )


def index_or_name(channel: str | None) -> str | int | None:
    """A channel given as digits is an index."""
    return int(channel) if channel is not None and channel.isdigit() else channel


def where(out: Location) -> str:
    return (
        f"Nucleus table   {out}/nuclei/       pd.read_parquet({str(out / 'nuclei')!r})\n"
        f"Readout tables  {out}/wells.parquet, compounds.parquet, plate.parquet; columns.csv defines every column\n"
        f"Report          {out}/report.html"
    )


def exit_code(unfinished: tuple[LedgerEntry, ...]) -> int:
    """1, after naming the fields without a result, or 0."""
    if not unfinished:
        return 0
    click.echo(f"\n{len(unfinished)} field(s) without a result:", err=True)
    for entry in unfinished[:20]:
        click.echo(f"  {entry.field}  {entry.status}{': ' if entry.reason else ''}{entry.reason}", err=True)
    if len(unfinished) > 20:
        click.echo(f"  … and {len(unfinished) - 20} more; `hcs status` lists all", err=True)
    return EXIT_FAILED_WELLS
