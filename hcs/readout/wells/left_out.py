"""Leaving flagged fields out of the readouts. Alone in a file, for flags are made whether or not they leave any out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcs.readout.settings import ReadoutSettings
from hcs.readout.wells.flags import Flagging, counted_flags


@dataclass(frozen=True, slots=True)
class Flagged:
    """What readouts are made of once the fields of a plate are flagged."""

    nuclei: pd.DataFrame
    """The nuclei of the fields that are used."""
    fields: pd.DataFrame
    """The field table with Flags."""
    used: pd.DataFrame
    """The same, with the Status excluded, and the flags as Reason, where a field is left out."""
    thresholds: pd.DataFrame
    notes: tuple[str, ...]


def leave_out(nuclei: pd.DataFrame, fields: pd.DataFrame, found: Flagging, settings: ReadoutSettings) -> Flagged:
    """Where ``exclude_flagged`` is set, leave out the fields whose flags, ``found`` in them, say so.

    A note says how many fields, wells and nuclei are missing then, and for which flags.
    """
    flagged = fields.assign(Flags=found.flags)
    if not settings.exclude_flagged:
        return Flagged(nuclei, flagged, flagged, found.thresholds, found.notes)
    out = found.excluding != ""
    if not out.any():
        note = "No field was left out of the readouts: none has a flag that excludes it."
        return Flagged(nuclei, flagged, flagged, found.thresholds, (*found.notes, note))
    kept = ~np.isin(_places(nuclei, fields), _places(fields[out], fields))
    used = flagged.assign(
        Status=fields["Status"].where(~out, "excluded"),
        Reason=fields["Reason"].where(~out, "flagged " + found.excluding),
    )
    note = (
        f"{out.sum()} of {len(fields)} fields, in {fields.loc[out, 'Metadata_Well'].nunique()} wells, with "
        f"{int((~kept).sum()):,} nuclei were left out of the readouts because they are flagged: "
        f"{counted_flags(fields, found.excluding)}."
    )
    return Flagged(nuclei[kept], flagged, used, found.thresholds, (*found.notes, note))


def _places(table: pd.DataFrame, fields: pd.DataFrame) -> npt.NDArray[np.int64]:
    """A number for each row's field, the same in every table that has the wells of ``fields``."""
    wells = pd.Index(fields["Metadata_Well"].unique()).get_indexer(pd.Index(table["Metadata_Well"].astype(object)))
    most = int(fields["Metadata_Site"].max()) + 1
    return np.asarray(wells * most + table["Metadata_Site"].to_numpy(dtype=np.int64), np.int64)
