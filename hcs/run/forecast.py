"""What a run will take, from what a few of its fields took."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What was measured on a few fields, with all workers at work."""

    workers: int
    """Worker processes that the fields were measured with."""
    start_s: float
    """From nothing to workers that have done a field: processes, packages, network, compiled kernels."""
    settle_s: float
    """What is settled for the whole plate before its first field."""
    field_s: float
    """One field on one worker."""
    finish_s: float
    """Readouts, tables and report of the whole plate."""
    read_bytes: float
    """Stored bytes of a field's pixels."""
    written_bytes: float
    """Bytes of a field's labels, nuclei and ledger entry."""
    written_files: float
    """Files of them."""
    fixed_files: int
    """Files of a results folder that do not depend on the number of fields."""
    worker_bytes: int
    """Most memory that a worker had."""
    projected_bytes: int
    """Memory that a worker needs, as projected from the field's shape."""
    nuclei: float
    """Nuclei in a field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What the run of one plate will take."""

    fields: int
    workers: int
    seconds: float
    gpu_hours: float
    worker_bytes: int
    memory_bytes: int
    """Of all workers on one machine."""
    read_bytes: int
    written_bytes: int
    files: int
    nuclei: int


def one_field_s(seconds: float, *, fields: int, workers: int) -> float:
    """Seconds that one field takes a worker, where ``workers`` workers did ``fields`` fields in ``seconds``."""
    return seconds / _rounds(fields, workers) if fields else 0.0


def _rounds(fields: int, workers: int) -> float:
    """How many fields' times a number of fields takes.

    Fields are dealt out as workers become free: on average the last ones leave half a field's time in which some
    workers wait.
    """
    return max(fields / workers + (0.5 if fields % workers else 0.0), min(fields, 1))


def forecast(probe: Probe, *, fields: int, workers: int, gpu: bool) -> Forecast:
    """The probe for ``fields`` fields on ``workers`` workers, each with one field at a time."""
    busy_s = probe.field_s * _rounds(fields, workers)
    seconds = probe.start_s + probe.settle_s + busy_s + probe.finish_s
    worker = max(probe.worker_bytes, probe.projected_bytes)
    return Forecast(
        fields=fields,
        workers=workers,
        seconds=seconds,
        gpu_hours=workers * (seconds - probe.finish_s) / 3600 if gpu else 0.0,
        worker_bytes=worker,
        memory_bytes=worker * workers,
        read_bytes=round(fields * probe.read_bytes),
        written_bytes=round(fields * probe.written_bytes),
        files=round(fields * probe.written_files) + probe.fixed_files,
        nuclei=round(fields * probe.nuclei),
    )


def forecast_lines(name: str, found: Forecast, probe: Probe) -> tuple[str, ...]:
    """A forecast as lines of text."""
    gpu = f", {found.gpu_hours:.2f} GPU-hours" if found.gpu_hours else ""
    return (
        f"{name}: {found.fields:,} fields on {found.workers} workers",
        f"  time    {_duration(found.seconds)}{gpu}: start {probe.start_s:.0f} s, size of nuclei and illumination "
        f"{probe.settle_s:.0f} s, {probe.field_s:.2f} s a field and worker, readouts and report {probe.finish_s:.0f} s",
        f"  memory  {found.worker_bytes / 1e9:.2f} GB a worker, {found.memory_bytes / 1e9:.2f} GB in all",
        f"  bytes   {_bytes(found.read_bytes)} read, {_bytes(found.written_bytes)} written in {found.files:,} files",
        f"  nuclei  about {found.nuclei:,}",
    )


def _duration(seconds: float) -> str:
    minutes, s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {s:02d} s" if minutes else f"{s} s"


def _bytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
