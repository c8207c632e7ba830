"""`hcs remeasure`: measure nuclei that were edited in a viewer, and make the readouts again."""

from __future__ import annotations

from collections.abc import Callable

from hcs.config import parse_config
from hcs.engine.cluster import Workers
from hcs.readout.readouts import Readouts
from hcs.readout.settings import ReadoutSettings
from hcs.run.finish import finish
from hcs.run.remeasure import find_edited, measure_edited
from hcs.store.results.folder import Results
from hcs.store.results.ledger import LedgerEntry


def remeasure(
    results: Results, *, workers: Workers, say: Callable[[str], None]
) -> tuple[Readouts | None, tuple[LedgerEntry, ...]]:
    """Measure the fields of ``results`` whose labels somebody edited since, and no others; then make the readouts and
    the page again, with the settings that they have.

    Returns the readouts, None where nothing was edited and the readouts are those of the nuclei, and the entries of the
    edited fields that could not be measured: what was measured of these before stays.
    """
    edited = find_edited(results)
    target = edited.job.given
    assert target is not None
    if not edited.keys:
        say(f"No labels/{target.name} were edited since they were measured.")
        if _up_to_date(results):
            return None, ()
    entries = measure_edited(edited, workers)
    for entry in entries:
        say(f"{entry.field}  {entry.nuclei:,} nuclei  {entry.reason}" if entry.done else f"{entry.field}  not measured")
    return finish(results.folder, _settings(results), plate=results.plate_path), tuple(
        entry for entry in entries if not entry.done
    )


def _up_to_date(results: Results) -> bool:
    """Whether the readouts were made since the last field was measured."""
    chosen = _settings(results)
    if chosen is None or not results.has("fields"):
        return False
    made, now = results.fields(), results.at_timepoint(chosen.timepoint).ledger()
    return all(
        (made[name].to_numpy() == now[name].to_numpy()).all() for name in ("Labels_Edited", "Reason", "Count_Nuclei")
    )


def _settings(results: Results) -> ReadoutSettings | None:
    """The settings that the readouts were last made with; None where they never were."""
    made = results.readouts()
    return None if made is None else parse_config({"readout": dict(made.settings)}, source="readout.json").readout
