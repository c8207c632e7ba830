"""What is read from the tracks of a plate with time, beside the readouts of one frame: well columns and tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from hcs.readout.cycle.cycles import PlateCycle
from hcs.readout.live.columns import LEADING, LEADING_LIGHT, LIVE_WELL_COLUMNS
from hcs.readout.live.over_time import best_window, zprime_over_time
from hcs.readout.live.wells import LiveReadouts, live_readouts
from hcs.readout.settings import ReadoutSettings
from hcs.readout.wells.features import ByWell
from hcs.store.results.folder import Results

WELL_COLUMNS = LIVE_WELL_COLUMNS
"""What tracks add to the table of wells."""

_NEEDED = (
    *("Metadata_Well", "Metadata_Site", "Metadata_Timepoint", "Metadata_Time_min", "Metadata_ObjectNumber"),
    *("Nuclei_AreaShape_Area", "Nuclei_DNA_Content", "Nuclei_Sensor_Ratio", "Nuclei_Sensor_RatioMixture"),
    "Nuclei_Flag_TouchesBorder",
)
_TRACKS = "Nuclei_TrackObjects_"


def with_leading(settings: ReadoutSettings) -> ReadoutSettings:
    """The settings of a plate with time: where the user left the readouts as they are, the leading ones of tracks come
    beside them."""
    if settings.readouts != ReadoutSettings().readouts:
        return settings
    light = LEADING_LIGHT if settings.live.light_off_min is not None else ()
    return replace(settings, readouts=(*settings.readouts, *LEADING, *light))


class LiveWells:
    """Reads the tracks of a plate once, a well's nuclei at a time."""

    def __init__(self, results: Results, tracks: pd.DataFrame, settings: ReadoutSettings) -> None:
        self._results, self._tracks, self._settings = results, tracks, settings
        self._found: LiveReadouts | None = None

    def extend(self, cycle: PlateCycle, wells: list[str]) -> pd.DataFrame:
        """Metadata_Well and the columns that tracks add; what `hcs.readout.readouts.make_readouts` asks for."""
        self._found = live_readouts(
            self._tables() if len(self._tracks) else (),
            self._tracks,
            wells,
            self._settings,
            interval_min=self._results.record.interval_min,
            threshold=_threshold(cycle, self._settings),
        )
        return self._found.wells

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what could not be read."""
        return () if self._found is None else self._found.notes

    def tables(self, wells: pd.DataFrame, further: pd.DataFrame | None = None) -> dict[str, pd.DataFrame]:
        """The tables over time, for the finished table of ``wells``; ``further`` are more columns of wells and
        frames."""
        if self._found is None or self._found.frames.empty:
            return {}
        frames, settings = self._found.frames, self._settings
        if further is not None:
            frames = frames.merge(further, on=["Metadata_Well", "Metadata_Timepoint"], how="left")
            frames = frames.fillna({"Count_Class_Nuclei": 0}).astype({"Count_Class_Nuclei": "int64"})
        found = {"frames": frames, "cycles_live": self._found.cycles}
        if "Metadata_Role" in wells:
            found["zprime_time"] = zprime_over_time(frames, wells, settings)
            found["windows"] = best_window(frames, wells, settings)
        return found

    def _tables(self) -> ByWell:
        parts = self._results.parts()
        return parts.by_well(_wanted(parts.columns()))


def _wanted(stored: Iterable[str]) -> list[str]:
    """Those of the stored columns that are read from tracks."""
    return [name for name in stored if name in _NEEDED or name.startswith(_TRACKS)]


def _threshold(cycle: PlateCycle, settings: ReadoutSettings) -> float:
    """Sensor ratio above which a nucleus is high: the plate's, or the fixed one."""
    return settings.sensor_threshold if cycle.sensor is None else cycle.sensor.threshold


def empty_extend(settings: ReadoutSettings, cycle: PlateCycle, wells: list[str]) -> pd.DataFrame:
    """The columns that tracks will add, without a value: for the check of names before a run."""
    none = pd.DataFrame(columns=["Metadata_Well", "Metadata_Site"])
    return live_readouts((), none, wells, settings, interval_min=None, threshold=_threshold(cycle, settings)).wells
