"""The record of a run, ``run.json``: what it worked on, how, and with what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import UnionType
from typing import TYPE_CHECKING, Any

from hcs.errors import ResultsError
from hcs.plate.keys import FieldKey
from hcs.plate.times import FrameTimes
from hcs.store.location import Location
from hcs.store.results.sealed import Damaged, read_sealed, write_sealed

if TYPE_CHECKING:
    from hcs.config import Config

RUN_RECORD = "run.json"

_SETTLED_LATER = (
    *("images_from", "plate_map"),
    *("nucleus_diameter", "illumination", "background", "registration", "ring", "times", "account"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedChannels:
    """The plate's channels by name, and those that have a part in the run."""

    names: tuple[str, ...]
    dna: str | None
    """None where the run has no DNA channel: nuclei were found in another."""
    sensor: str | None
    nuclei: str
    """The channel in which nuclei were found."""
    cells: str | None = None
    """The channel in which whole cells were grown; None where none were."""
    because: Mapping[str, str] = field(default_factory=dict)
    """Why each of ``dna``, ``sensor`` and ``nuclei`` was chosen."""

    @property
    def by_sensor(self) -> bool:
        """Whether nuclei were found in the sensor channel."""
        return self.sensor is not None and self.nuclei == self.sensor


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run; the file has the same names, and a checksum of its own."""

    run_id: str
    """Drawn when the folder is begun: every ledger entry carries it, so that another run's is told from this run's."""
    identity: Mapping[str, Any]
    """What makes two runs the same: plate, wells, settings and model, as plain data."""
    plate_path: str
    """Where the plate was."""
    labels: Mapping[str, Any] | None = None
    """Where labels were written, and as whose (`hcs.store.plate.target.LabelTarget`); None: nowhere."""
    cells: Mapping[str, Any] | None = None
    """The same of the whole cells' labels; None where none were grown."""
    micronuclei: Mapping[str, Any] | None = None
    """The same of the micronuclei's labels; None where none were looked for."""
    channels: RecordedChannels
    model: Mapping[str, Any]
    """Name, path and hash of the model that found the nuclei."""
    cells_model: Mapping[str, Any] | None = None
    """The same of the model that tells of whole cells; None: none does."""
    keys: tuple[FieldKey, ...]
    """Every field that the run expects, in plate order; ``fields`` in the file."""
    versions: Mapping[str, str]
    machine: Mapping[str, Any]
    command: str
    time: Mapping[str, Any] | None = None
    """Of a plate with time: ``frames`` of every field, ``interval_min`` or ``times_min``, and the ``source`` of that;
    None: every field was imaged once."""
    plate_map: Mapping[str, Any] | None = None
    """The plate map that results are made with: ``source``, where it was read, ``sha256`` of its copy in the folder,
    and those ``before`` it. Not part of the identity: `hcs readout --plate-map` puts another in its place."""
    images_from: Mapping[str, Any] | None = None
    """Of a run that read a microscope's folder in place: ``folder``, and the ``layout`` it was taken for."""
    nucleus_diameter: Mapping[str, Any] | None = None
    """The size of the plate's nuclei, once it is settled."""
    illumination: Mapping[str, Any] | None = None
    """The illumination that fields are corrected with, once it is settled."""
    background: Mapping[str, Any] | None = None
    """The background of sensor ratios where a field has none of its own, once it is settled."""
    registration: Mapping[str, Any] | None = None
    """By name, where channels lie that are not in the place of the one in which nuclei are found, once it is known."""
    ring: Mapping[str, Any] | None = None
    """The ring's width in px and µm, once it is settled."""
    times: Mapping[str, Any] | None = None
    """When the last session began, and what took how long."""
    account: Mapping[str, Any] | None = None
    """Time and bytes by stage and worker."""

    @property
    def plate(self) -> str:
        """The plate's name."""
        return str(self.identity["plate"]["name"])

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of nuclei that the model tells apart; none of a usual model."""
        return tuple(map(str, self.model.get("kinds", ())))

    @property
    def units(self) -> tuple[FieldKey, ...]:
        """Every unit of work in plate order: the fields, or the frames of fields with time."""
        if self.time is None:
            return self.keys
        return tuple(key.at(t) if n else key for key in self.keys for n in [self.frames(key)] for t in range(n or 1))

    @property
    def interval_min(self) -> float | None:
        """Minutes between frames that are evenly apart; None where nobody states them, or there is no time."""
        return None if self.time is None else self.time["interval_min"]

    @property
    def times_min(self) -> tuple[float, ...] | None:
        """Minutes of every frame, where they are not evenly apart."""
        times = None if self.time is None else self.time.get("times_min")
        return None if times is None else tuple(times)

    @property
    def frame_times(self) -> FrameTimes:
        """When frames were taken."""
        return FrameTimes(self.interval_min, self.times_min)

    @property
    def usual_frames(self) -> int:
        """Time points that most fields have; 0 without time."""
        counts = Counter(n for n in (self.frames(key) for key in self.keys) if n)
        return max(counts, key=lambda n: (counts[n], n)) if counts else 0

    def frames(self, key: FieldKey) -> int:
        """Time points of a field; 0 where the plate has no time, or the field could not be read."""
        return 0 if self.time is None else int(self.time["frames"].get(str(key.of_field), 0))

    @property
    def config(self) -> Config:
        """The settings of the run; ConfigError where this version of hcs does not know them."""
        from hcs.config import parse_config  # noqa: PLC0415  pydantic, which reading a table does without

        return parse_config(dict(self.identity["config"]), source=RUN_RECORD)

    def plain(self) -> dict[str, Any]:
        """The record as JSON has it; what is not settled is left out."""
        data = {each.name: getattr(self, each.name) for each in fields(self)}
        data["channels"] = {
            name: getattr(self.channels, name) for name in ("names", "dna", "sensor", "nuclei", "cells", "because")
        }
        data["fields"] = [str(key) for key in data.pop("keys")]
        return {name: value for name, value in data.items() if value is not None}

    def write(self, out: Location) -> None:
        """Write ``run.json`` of the results folder ``out``."""
        write_sealed(out / RUN_RECORD, self.plain())

    def with_session(self, *, times: Mapping[str, Any], account: Mapping[str, Any]) -> RunRecord:
        """The record with what the last session took."""
        return replace(self, times=times, account=account)

    @classmethod
    def read(cls, out: Location) -> RunRecord:
        """The record of the results folder ``out``; ResultsError where it is missing, damaged or another program's."""
        path = out / RUN_RECORD
        try:
            return record_of(read_sealed(path))
        except Damaged as damage:
            raise ResultsError(
                f"{path} {damage}; without it nothing in {out} can be relied on: put it back from a copy, or run the "
                "plate again into a new folder"
            ) from damage


def record_of(plain: Mapping[str, Any]) -> RunRecord:
    """The record of plain data; `Damaged` naming the first key that is missing, unknown or holds something else."""
    data = dict(plain)
    channels, model = _mapping(data, "channels"), _mapping(data, "model")
    for name in ("name", "sha256"):
        _text(model, name)
    names = _texts(channels, "names")
    nuclei = _text(channels, "nuclei")
    dna, sensor, cells = (_optional(channels, name) for name in ("dna", "sensor", "cells"))
    because = _mapping(channels, "because") if "because" in channels else {}
    if unknown := {nuclei, dna, sensor, cells} - {*names, None}:
        raise Damaged(f"names the channel {sorted(map(str, unknown))[0]!r}, which is none of {', '.join(names)}")
    known = {each.name for each in fields(RunRecord)} - {"keys"} | {"fields"}
    if strange := sorted(data.keys() - known):
        raise Damaged(f"has a key {strange[0]!r} that this version of hcs does not know")
    return RunRecord(
        run_id=_text(data, "run_id"),
        identity=_identity(data),
        plate_path=_text(data, "plate_path"),
        labels=_labels(data, "labels"),
        cells=_labels(data, "cells"),
        micronuclei=_labels(data, "micronuclei"),
        channels=RecordedChannels(names=names, dna=dna, sensor=sensor, nuclei=nuclei, cells=cells, because=because),
        model=model,
        cells_model=_mapping(data, "cells_model") if "cells_model" in data else None,
        keys=_keys(data),
        time=_time(data),
        versions=_mapping(data, "versions"),
        machine=_mapping(data, "machine"),
        command=_text(data, "command"),
        **{name: _mapping(data, name) for name in _SETTLED_LATER if name in data},
    )


def _time(data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if data.get("time") is None:
        return None
    time = _mapping(data, "time")
    if not all(isinstance(n, int) for n in _mapping(time, "frames").values()):
        raise Damaged("has under 'frames' no whole numbers")
    if time.get("interval_min") is not None:
        _kind(time, "interval_min", int | float, "a number")
    if not all(isinstance(minute, int | float) for minute in time.get("times_min") or ()):
        raise Damaged("has under 'times_min' no numbers")
    return {"interval_min": None} | time


def _identity(data: Mapping[str, Any]) -> Mapping[str, Any]:
    identity = _mapping(data, "identity")
    _text(_mapping(identity, "plate"), "name")
    _mapping(identity, "config")
    return identity


def _labels(data: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    if data.get(kind) is None:
        return None
    labels = _mapping(data, kind)
    for name in ("path", "name", "run"):
        _text(labels, name)
    _kind(labels, "in_plate", bool, "true or false")
    return labels


def _keys(data: Mapping[str, Any]) -> tuple[FieldKey, ...]:
    try:
        return tuple(map(FieldKey.parse, _texts(data, "fields")))
    except ValueError as error:
        raise Damaged(f"names no field ({error})") from error


def _mapping(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = _kind(data, name, dict, "keys and values")
    return found


def _text(data: Mapping[str, Any], name: str) -> str:
    return str(_kind(data, name, str, "a text"))


def _optional(data: Mapping[str, Any], name: str) -> str | None:
    return None if data.get(name) is None else _text(data, name)


def _texts(data: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values: list[Any] = _kind(data, name, list, "a list of texts")
    if not all(isinstance(value, str) for value in values):
        raise Damaged(f"has under {name!r} no list of texts")
    return tuple(values)


def _kind(data: Mapping[str, Any], name: str, kind: type | UnionType, what: str) -> Any:
    if name not in data:
        raise Damaged(f"lacks {name!r}, so it is no record of this version of hcs")
    if not isinstance(data[name], kind):
        raise Damaged(f"has under {name!r} a {type(data[name]).__name__}, not {what}")
    return data[name]
