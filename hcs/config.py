"""The configuration of a run: every room's settings in one validated, frozen model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hcs.errors import ConfigError
from hcs.measure.settings import CellSettings, MeasureSettings
from hcs.plate.times import check_times
from hcs.readout.settings import ReadoutSettings
from hcs.segment.settings import InstanceSettings
from hcs.tiles.settings import TileSettings
from hcs.tracks.settings import TrackSettings

_WALLTIME = re.compile(r"(\d+-)?\d{1,3}:\d{2}(:\d{2})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """Jobs of a batch system; used with ``--cluster`` only, and without influence on the results."""

    jobs: int = 1
    """Jobs asked for; with ``min_jobs``, the most at a time."""
    min_jobs: int | None = None
    """Let the number of jobs follow the work, from this many to ``jobs``; null keeps ``jobs`` going."""
    workers_per_job: int = 1
    """Worker processes in a job, each with one thread and one core; with ``--device cuda`` it is one, with one GPU."""
    memory: str = "4GiB"
    """Memory of a whole job."""
    walltime: str | int = "04:00:00"
    """Longest time of a job, as hours:minutes:seconds or in seconds; a field that is cut off by its end is done by
    another job."""
    queue: str | None = None
    """Partition."""
    account: str | None = None
    """Account that is charged."""
    directives: tuple[str, ...] = ()
    """Further options of the batch system, such as ``--gres=gpu:1`` or ``--nice``."""
    prologue: tuple[str, ...] = ()
    """Shell lines ahead of the worker, such as ``module load cuda``."""
    interface: str | None = None
    """Network interface through which workers reach the scheduler, such as ``ib0``; null takes the default."""
    python: str | None = None
    """Python of the workers, which must have the same hcs; null takes the one that runs the command."""
    logs: str = "slurm-logs"
    """Folder of the jobs' output."""
    wait_s: float = 600.0
    """Longest wait for the first worker, s."""

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise ConfigError(f"cluster.jobs = {self.jobs}: at least one job is needed")
        if self.min_jobs is not None and not 0 <= self.min_jobs <= self.jobs:
            raise ConfigError(f"cluster.min_jobs = {self.min_jobs}: give a number from 0 to cluster.jobs = {self.jobs}")
        if self.workers_per_job < 1:
            raise ConfigError(f"cluster.workers_per_job = {self.workers_per_job}: at least one worker is needed")
        if isinstance(self.walltime, str) and not _WALLTIME.fullmatch(self.walltime):
            raise ConfigError(f"cluster.walltime = {self.walltime!r}: write hours, minutes and seconds as 04:00:00")
        if self.wait_s <= 0:
            raise ConfigError(f"cluster.wait_s = {self.wait_s}: give a time above 0")

    @property
    def walltime_text(self) -> str:
        """The longest time as Slurm reads it. YAML makes seconds of 12:00:00 without quotes."""
        if isinstance(self.walltime, str):
            return self.walltime
        minutes, seconds = divmod(self.walltime, 60)
        return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSettings:
    """How a microscope's folder of images is to be understood, where that is not to be as it shows itself."""

    layout: str | None = None
    """Kind of folder, of ``hcs convert --list-layouts``; null: the kind that it shows."""
    pattern: str | None = None
    """Regular expression, searched in each file's path, with groups ``well`` (or ``row`` and ``column``), ``field``,
    ``channel``, ``z``, ``t``; instead of a layout."""
    channels: tuple[str, ...] = ()
    """Other names of channels: ``FILE=NAME`` for some, or all in their order."""
    z: str | None = None
    """Several z planes: ``max``, ``keep``, ``projection`` (the microscope's), or one plane. Without it a layout's are
    projected."""
    t: str | None = None
    """Several time points: ``all``, or the one to take. Without it all of a layout's are taken."""
    plate_format: int | None = None
    """Number of the plate's wells, where wells are running numbers."""
    pixel_size_um: float | None = None
    """Pixel size, µm, instead of the folder's."""
    interval_min: float | None = None
    """Minutes between time points, instead of the folder's."""
    times_min: tuple[float, ...] | None = None
    """Minutes of every time point, where they are not evenly apart, instead of the folder's."""
    well: str | None = None
    """Well that all images belong to, such as ``A01``, where their names and metadata tell none."""

    def __post_init__(self) -> None:
        if self.times_min is not None:
            if self.interval_min is not None:
                raise ConfigError("interval_min and times_min are both given; give one of them")
            object.__setattr__(self, "times_min", check_times(self.times_min, "times_min"))
        for name in ("pixel_size_um", "interval_min"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ConfigError(f"{name} = {value}: give a number above 0")


LabelsTarget = Literal["plate", "out", "none"]
Arithmetic = Literal["auto", "float32", "int8"]


class ChannelSettings(BaseModel):
    """Which channel is which: a name as the plate gives it, or a 0-based index."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    dna: str | int | None = None
    """DNA stain. Without it: the one channel whose name is a DNA stain's (DAPI, Hoechst, DNA …), or the only
    channel."""
    sensor: str | int | None = None
    """Translocating sensor. Without it: the one channel whose name is a sensor's (CDK2, DHB, KTR, LEXY, sensor), or
    none."""
    nuclei: str | int | None = None
    """Channel in which nuclei are found; without it, the DNA channel. Where it is named, the plate needs no DNA
    channel: what is read out of DNA is then absent, with that reason."""
    cells: str | int | None = None
    """Channel, such as the sensor's or a cytoplasm stain's, in which nuclei are grown to whole cells: labels, and
    columns of cells and cytoplasm. Without it, no cells are grown and the cytoplasm is a ring around the nucleus."""


class Config(BaseModel):
    """A run's configuration; an unknown key is an error that names it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    model: str = "auto"
    """Name of a shipped model, or path of a .safetensors file with its card (.json) beside it; several with commas
    between are averaged. ``auto`` is ``sensor`` where nuclei are found in the sensor channel; else ``fast`` on a CPU
    and ``accurate`` on a GPU."""
    flips: bool = False
    """Average the model over the four mirror images of each field: a little better, four times the work."""
    arithmetic: Arithmetic = "auto"
    """Numbers in which the model calculates on a CPU: ``int8``, whole numbers of 8 bits, takes a third of the time and
    gives the same bytes on every processor; ``float32``. ``auto`` is ``int8`` for models whose card has its steps, on
    x86-64 processors, else ``float32``; on a GPU it is the GPU's own half precision. A run keeps what it began
    with."""
    diameter_px: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    """Typical diameter of the nuclei; ``auto`` estimates one for the whole plate. A model trained at one size sees
    every field magnified to that size; labels and measurements are at full resolution all the same."""
    labels: LabelsTarget = "plate"
    """Where nucleus labels go: into the plate, into the output folder (plate read-only), or nowhere."""
    labels_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$")] = "nuclei"
    """Name of the labels in each field's list; of letters, digits, ``_``, ``.`` and ``-``."""
    viewer_tables: bool = True
    """Beside the labels also write what viewers show: tables of regions and of the nuclei's features, as ngio reads
    them, and colours and properties of the nuclei."""
    labels_from: str | None = None
    """Measure nuclei that another tool made: the name of their labels in the plate, or a folder of label images called
    after well and field. No network is used then."""
    z: Literal["refuse", "max"] = "refuse"
    """What to do with more than one z plane: refuse the field, or take the maximum projection."""
    acquisition: Annotated[int, Field(ge=0)] | Literal["all"] | None = None
    """Take the images of this acquisition alone (the number that wells' metadata give, 0 without one); ``all`` takes
    every image as a field of its own. Without it, a plate whose wells have several acquisitions is refused."""
    images: str | None = None
    """Take the images of these names in their wells alone: names and wildcards with commas between, such as ``*_mip``;
    ``*`` takes every image as a field of its own. Without it, a plate whose wells list several versions of one field,
    as their names tell, is refused."""
    interval_min: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Minutes from one frame to the next, of a plate with time. Without it, what the plate's metadata state; where they
    state nothing, time is counted in frames."""
    times_min: tuple[Annotated[float, Field(allow_inf_nan=False)], ...] | None = None
    """Minutes of every frame, of a plate with time whose frames are not evenly apart; instead of ``interval_min``."""
    illumination: str = "auto"
    """Uneven light of each channel: ``auto`` corrects it where the plate has the microscope's own flat-field (``plate``
    wants that) and leaves it else; ``none`` leaves it, ``estimate`` finds it from the plate's fields and corrects
    every field before anything is found or measured; or the path of an .npz with flat_<channel> and
    background_<channel>, such as illumination/flatfield.npz of another run."""
    background: str = "auto"
    """Background of the sensor ratio: ``auto`` is each field's own where it shows ground without cells, else the
    plate's, from its emptiest fields; ``field`` and ``plate`` are always these; or a stated level in grey levels, such
    as the camera's offset or a dark image's mean: 100, or by channel DNA=100,CDK2=96."""
    channels: ChannelSettings = Field(default_factory=ChannelSettings)
    """Which channel is which."""
    folder: FolderSettings = Field(default_factory=FolderSettings)
    """How a microscope's folder is read where it is, without a conversion; of no influence on an OME-Zarr plate."""
    tiles: TileSettings = Field(default_factory=TileSettings)
    """How fields are cut for the network."""
    instances: InstanceSettings = Field(default_factory=InstanceSettings)
    """How class probabilities become nuclei."""
    measure: MeasureSettings = Field(default_factory=MeasureSettings)
    """Ring, backgrounds."""
    micronuclei: bool = False
    """Also find micronuclei in the DNA channel and give each to its nearest nucleus: three more columns of nuclei,
    labels beside the nuclei's, and Fraction_Micronucleated of wells. Nuclei and their other columns stay as they are.
    Off, because on images of other laboratories two of five are found, and every second one said to be there is none
    (docs/benchmarks/micronuclei.md)."""
    micronuclei_labels_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$")] = "micronuclei"
    """Name of the micronuclei's labels in each field's list; they go where the nuclei's labels go."""
    cells: CellSettings = Field(default_factory=CellSettings)
    """How nuclei are grown to whole cells, where ``channels.cells`` names a channel for them."""
    tracks: TrackSettings = Field(default_factory=TrackSettings)
    """How nuclei are linked from frame to frame, of a plate with time."""
    readout: ReadoutSettings = Field(default_factory=ReadoutSettings)
    """Wells, compounds, Z′, cell cycle."""
    cluster: ClusterSettings = Field(default_factory=ClusterSettings)
    """Jobs of ``hcs run --cluster``; of no influence on the results, and so no part of what makes two runs the same."""

    def override(self, **changes: Any) -> Config:
        """A copy with top-level keys, keys of ``channels`` and ``folder``, ``exclude_flagged``, or as ``cells_model``
        the model of ``cells`` replaced; ``None`` leaves a key as it is."""
        given = {key: value for key, value in changes.items() if value is not None}
        channels = {key: given.pop(key) for key in ("dna", "sensor", "nuclei", "cells") if key in given}
        readout = {key: given.pop(key) for key in ("exclude_flagged",) if key in given}
        grown = {"model": given.pop("cells_model")} if "cells_model" in given else {}
        folder = given.pop("folder", {})
        data = self.model_dump() | given
        data["channels"] |= channels
        data["folder"] |= folder
        data["cells"] |= grown
        data["readout"] |= readout
        return parse_config(data, source="the command line")


def parse_config(data: object, *, source: str) -> Config:
    """Validate plain data (from YAML, say); a ConfigError names ``source``, each offending key, and what is wrong
    with it."""
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise ConfigError(f"{source} holds a {type(data).__name__}, not settings; write `key: value` lines")
    for key, text in _texts(data):
        if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
            raise ConfigError(f"{source}: {key} = {ascii(text)[:80]} holds a character that no name has; correct it")
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError(f"{source}: " + "; ".join(explain(e) for e in error.errors())) from error


USER_SETTINGS = frozenset(
    {
        *("model", "diameter_px", "labels", "labels_name", "z", "acquisition", "images", "illumination", "background"),
        *("labels_from", "interval_min", "times_min", "viewer_tables", "micronuclei"),
        "micronuclei_labels_name",
        *("channels.dna", "channels.sensor", "channels.nuclei", "channels.cells"),
        *("folder.layout", "folder.pattern", "folder.channels", "folder.z", "folder.t", "folder.plate_format"),
        *("folder.pixel_size_um", "folder.well"),
        *("cells.method", "cells.reach_um", "cells.reach_px", "cells.threshold", "cells.labels_name", "cells.model"),
        *("instances.min_area_px", "instances.min_area_um2"),
        *("measure.ring_width_um", "measure.ring_width_px", "measure.sensor_ratio"),
        *("readout.readouts", "readout.sensor_threshold", "readout.exclude_border", "readout.exclude_flagged"),
        *("readout.drop_duplicates", "readout.dead.exclude"),
    }
)
"""Settings that a user may want to change, by their dotted keys; all others are for experts."""


def settings_schema() -> dict[str, Any]:
    """JSON schema of the YAML settings: it refuses the keys that hcs refuses, and says for whom each setting is.

    ``x-for`` of a property is ``user`` or ``expert``, by `USER_SETTINGS`.
    """
    schema = Config.model_json_schema()
    sections = schema["$defs"]
    for part in (schema, *sections.values()):
        if "properties" in part:
            part["additionalProperties"] = False
    _mark(schema, sections, prefix="")
    return schema


def _mark(part: dict[str, Any], sections: dict[str, Any], *, prefix: str) -> None:
    """Add ``x-for`` to every property of ``part`` and of the sections below it."""
    for key, value in part["properties"].items():
        name = value.get("$ref", "").rpartition("/")[2]
        if name:
            _mark(sections[name], sections, prefix=f"{prefix}{key}.")
        else:
            value["x-for"] = "user" if f"{prefix}{key}" in USER_SETTINGS else "expert"


def _texts(data: object, key: str = "") -> Iterator[tuple[str, str]]:
    """All texts of plain data, with their dotted keys."""
    if isinstance(data, str):
        yield key, data
    elif isinstance(data, dict):
        for name, value in data.items():
            yield from _texts(value, f"{key}.{name}".strip("."))
    elif isinstance(data, list | tuple):
        for value in data:
            yield from _texts(value, key)


def explain(error: Any, keys: str = "`hcs config schema` lists the keys") -> str:
    """One pydantic error as ``key: what is wrong``; ``keys`` says where a reader finds those that there are."""
    key = ".".join(str(part) for part in error["loc"])
    kind = error["type"]
    if kind in {"extra_forbidden", "unexpected_keyword_argument"}:
        return f"unknown key {key!r}; {keys}"
    message = str(error["msg"]).removeprefix("Value error, ")
    if message.startswith(key):  # also where the whole file is at fault: such a message names its keys and values
        return message
    return f"{key}: {message} (got {error['input']!r})"


def differences(a: object, b: object, prefix: str = "") -> list[str]:
    """Dotted keys at which two trees of plain data differ, sorted."""
    if isinstance(a, dict) and isinstance(b, dict):
        keys = sorted(set(a) | set(b), key=str)
        return [d for k in keys for d in differences(a.get(k), b.get(k), f"{prefix}{k}.")]
    return [] if a == b else [prefix.rstrip(".")]
