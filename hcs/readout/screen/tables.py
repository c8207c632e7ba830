"""Everything read out of the well table of a plate for a screen: assay quality and its causes, curves, scores, hits."""

from __future__ import annotations

from dataclasses import dataclass, fields

import pandas as pd

from hcs.readout.screen.assay import assay_quality
from hcs.readout.screen.attribution import attribute
from hcs.readout.screen.checks import sample_notes
from hcs.readout.screen.discriminant import discriminate
from hcs.readout.screen.doses import dose_curves
from hcs.readout.screen.hits import find_hits
from hcs.readout.screen.scores import score_wells
from hcs.readout.screen.toxicity import with_warning
from hcs.readout.settings import ReadoutSettings


@dataclass(frozen=True, slots=True)
class ScreenTables:
    """Tables made of one plate's wells; `hcs.readout.tables` has the columns of each."""

    assay: pd.DataFrame
    attribution: pd.DataFrame
    discriminant: pd.DataFrame
    doses: pd.DataFrame
    scores: pd.DataFrame
    hits: pd.DataFrame

    def frames(self) -> dict[str, pd.DataFrame]:
        """The tables by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def screen_tables(
    wells: pd.DataFrame,
    settings: ReadoutSettings,
    *,
    quality: pd.DataFrame | None = None,
    toxicity: pd.DataFrame | None = None,
) -> ScreenTables:
    """All tables of one plate's wells; ``quality`` is the field table with Quality_ columns, if there is one, and
    ``toxicity`` the toxicity table, by which hits and curves carry a warning."""
    scores = score_wells(wells, settings)
    return ScreenTables(
        assay=assay_quality(wells, settings),
        attribution=attribute(wells, settings, quality=quality),
        discriminant=discriminate(wells, settings),
        doses=with_warning(dose_curves(wells, settings), toxicity),
        scores=scores,
        hits=with_warning(find_hits(scores, settings), toxicity),
    )


def screen_notes(tables: ScreenTables, settings: ReadoutSettings) -> tuple[str, ...]:
    """Sentences for the reader: plate effects that were asked for and could not be taken out, and where samples differ
    from negatives in place or spread."""
    refused = tables.scores[["Readout", "Correction_Reason"]].drop_duplicates()
    asked = settings.hits.correction != "auto"
    return (
        *(
            f"{readout}: no plate effect was taken out ({why})."
            for readout, why in refused.itertuples(index=False)
            if why and asked
        ),
        *sample_notes(tables.scores),
    )
