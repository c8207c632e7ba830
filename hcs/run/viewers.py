"""What viewers show of a finished run: who writes it beside the labels, and what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa

from hcs.columns import DEAD, DNA_CONTENT_N
from hcs.errors import HcsError
from hcs.plate.keys import FieldKey
from hcs.run.pictures import PATIENCE_S, Pending, Submit
from hcs.run.viewer_fields import NUMBER, FieldWriter
from hcs.store.location import Location
from hcs.store.plate.reader import open_plate
from hcs.store.plate.target import LabelTarget
from hcs.store.results.folder import Results

_FIELDS_A_TASK = 12


class ViewersAhead:
    """Tables of regions and features beside the labels of all fields, and what the readouts say of single nuclei in the
    labels' metadata: begun at once, awaited by `notes`.

    ``submit`` says who writes. Workers, which see the results at ``out``, may be gone: what they have not written some
    time after what was begun before it is written here; writing twice changes nothing.

    What is there of others stays. Of a plate with time nothing is written: the numbers of nuclei begin anew in every
    frame, and no table of the specification has frames. A plate that cannot be written any more is a sentence, and no
    error.
    """

    def __init__(self, results: Results, submit: Submit, *, out: Location | None = None) -> None:
        self._results = results
        self._patience_s = None if out is None else PATIENCE_S
        self._begun: list[tuple[Callable[[], Counter[str]], Pending]] = []
        self._error: Exception | None = None
        target = LabelTarget.recorded(results.record.labels, results.folder, results.plate_path)
        if target is None or results.record.time is not None or not results.record.config.viewer_tables:
            return
        self._path = target.path
        record = results.record
        try:
            plate = open_plate(results.plate_path)
            told = told_of(results)
        except (HcsError, OSError) as error:
            self._error = error
            return
        writer = FieldWriter(out or results.folder, record.plate, plate, target, record.run_id)
        done = [entry for entry in results.entries(record.keys) if entry.done]
        for start in range(0, len(done), _FIELDS_A_TASK):
            some = [(entry, told.get(entry.field)) for entry in done[start : start + _FIELDS_A_TASK]]
            keys = [FieldKey.parse(entry.field) for entry, _ in some]
            call = partial(replace(writer, plate=plate.only(*keys)).write, some)
            self._begun.append((call, submit(call)))

    def notes(self) -> tuple[str, ...]:
        """Wait until all is written; sentences on what was left out."""
        counts: Counter[str] = Counter()
        patience_s = self._patience_s
        try:
            if self._error is not None:
                raise self._error
            for call, pending in self._begun:
                try:
                    counts += pending.result(patience_s)
                except Exception:  # whatever became of the worker; what is wrong with the plate is met again here
                    counts += call()
                    patience_s = None if patience_s is None else 0.1
        except (HcsError, OSError) as error:
            return (f"Tables for viewers were not written beside the labels: {error}.",)
        notes = []
        if counts["strangers"]:
            notes.append(
                f"Labels of {counts['strangers']} fields were changed since this run wrote or measured them: nothing "
                f"for viewers was written beside them (`hcs remeasure {self._results.folder}` measures edited nuclei)."
            )
        if counts["foreign"]:
            notes.append(
                f"{counts['foreign']} tables or colours beside labels in {self._path} were not written by hcs, or "
                "changed since, and stay as they are."
            )
        return tuple(notes)


def told_of(results: Results) -> dict[str, pa.Table]:
    """What the readouts say of single nuclei, by field such as ``B03/0``, in the order of the nuclei's numbers: the
    columns that are known when all fields are measured, and those of the phase table."""
    if not results.has_nuclei:
        return {}
    computed = [DNA_CONTENT_N, DEAD] if results.record.channels.dna is not None else []
    keys = ["Metadata_Well", "Metadata_Site", NUMBER]
    later = results.nuclei(columns=[*keys, *computed])
    if results.phase_columns():
        later = later.merge(results.phases().drop(columns=["Metadata_Plate"]), on=keys, how="left")
    later = later.sort_values(keys, kind="stable", ignore_index=True)
    wells, sites = (later[name].to_numpy(dtype=object) for name in keys[:2])
    starts = np.flatnonzero(np.r_[True, (wells[1:] != wells[:-1]) | (sites[1:] != sites[:-1])])
    own = later.drop(columns=keys[:2])
    texts = own.select_dtypes("category").columns
    table = pa.Table.from_pandas(own.astype(dict.fromkeys(texts, "object")), preserve_index=False)
    table = table.replace_schema_metadata(None).combine_chunks()
    ends = [*starts[1:], len(later)]
    # Each with rows of its own: a slice travels with all rows that it is a slice of.
    return {
        f"{wells[i]}/{sites[i]}": table.take(np.arange(i, end)) for i, end in zip(starts, ends, strict=True) if end > i
    }
