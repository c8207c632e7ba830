"""Columns of what is read from tracks."""

from __future__ import annotations

from hcs.columns import Column
from hcs.readout.columns import count_column, number_column, text_column, with_interval

SPENCER = "Spencer et al., Cell 155, 369 (2013)"
KAPLAN = "Kaplan & Meier, J. Am. Stat. Assoc. 53, 457 (1958)"
DEEPCELL = "Van Valen et al., PLoS Comput. Biol. 12, e1005177 (2016)"
GARWOOD = "Garwood, Biometrika 28, 437 (1936)"
_CROWLEY = "Brookmeyer & Crowley, Biometrics 38, 29 (1982)"
_ZHANG = "Zhang et al., J. Biomol. Screen. 4, 67 (1999)"
_BORN = "of the cells born in a division, tracks of quality from live.min_quality on"
_AFTER = "after the stimulus at live.stimulus_min, median over cells, smoothed over live.smooth_frames"

LEXY = "Niopek et al., Nat. Commun. 7, 10624 (2016)"
_CURVE = "of the median curve of the tracks watched from before the light on"


def _answers(suffix: str, ratio: str) -> tuple[Column, ...]:
    return (
        number_column(
            f"Live_Amplitude{suffix}", f"largest change of {ratio} from the cell's baseline, {_AFTER}", DEEPCELL
        ),
        number_column(
            f"Live_HalfMin{suffix}", f"time until half of the amplitude of {ratio} is reached, {_AFTER}", unit="min"
        ),
        number_column(
            f"Live_DurationMin{suffix}",
            f"time from there until {ratio} is below half again, median by Kaplan-Meier over cells",
            KAPLAN,
            unit="min",
        ),
        number_column(
            f"Live_AnswerArea{suffix}", f"integral of the change of {ratio} over time, {_AFTER}", DEEPCELL, unit="min"
        ),
    )


LIVE_WELL_COLUMNS: tuple[Column, ...] = (
    number_column("Count_Tracks", "tracks of the well's fields", unit="tracks"),
    number_column("Count_TracksRead", "of these, with a quality from live.min_quality on", unit="tracks"),
    number_column("Count_TracksLost", "of all, those that end for no reason: neither division, death nor border"),
    number_column("Count_TracksMerged", "of all, those that end in a nucleus that gains as much area", unit="tracks"),
    number_column("Count_TracksSplit", "of all, those that begin beside one that loses as much area", unit="tracks"),
    number_column(
        "Fraction_AreaJumps", "changes of area by more than 30 % from frame to frame, of all links", DEEPCELL
    ),
    number_column(
        "Live_CycleMin",
        f"time from birth to division, median {_BORN}; censored where they end otherwise",
        KAPLAN,
        "min",
    ),
    number_column("Live_CycleMin_Low", "lower end of the interval of Live_CycleMin", _CROWLEY, "min"),
    number_column("Live_CycleMin_High", "upper end of it; NaN where it is not reached", _CROWLEY, "min"),
    number_column(
        "Live_RiseMin",
        f"time from birth until the sensor ratio begins to rise by live.rise_by, median {_BORN}; censored",
        KAPLAN,
        "min",
    ),
    number_column("Fraction_LiveInc", f"share {_BORN}, whose CDK2 begins to rise within live.early_min", SPENCER),
    number_column("Fraction_LiveEmerging", f"share {_BORN}, whose CDK2 rises later, by live.low_min", SPENCER),
    number_column("Fraction_LiveLow", f"share {_BORN}, whose CDK2 has not risen by live.low_min", SPENCER),
    number_column("Fraction_LiveReentered", "1 - Fraction_LiveLow: cells that enter the next cycle", SPENCER),
    number_column("Live_GrowthPerDay", "slope of the logarithm of nuclei a field over time", unit="1/day"),
    number_column("Live_DoublingHours", "log 2 / Live_GrowthPerDay; NaN where nuclei do not become more", unit="h"),
    number_column("Live_DoublingHours_Low", "lower end of the interval of Live_DoublingHours", unit="h"),
    number_column("Live_DoublingHours_High", "upper end of it; NaN where that is no growth", unit="h"),
    number_column(
        "Live_DivisionsPerDay",
        "divisions seen in all tracks, over the time that living nuclei were watched, all tracks together: neither the "
        "movie's end nor cells that leave bias it",
        unit="1/day",
    ),
    number_column("Live_DivisionsPerDay_Low", "lower end of the interval of Live_DivisionsPerDay", GARWOOD, "1/day"),
    number_column("Live_DivisionsPerDay_High", "upper end of it", GARWOOD, "1/day"),
    number_column(
        "Live_HoursPerDivision",
        "24 / Live_DivisionsPerDay: as the length of the cycle where the share of cells that cycle is the same; NaN "
        "where no division is seen",
        unit="h",
    ),
    number_column("Live_DeathsPerDay", "deaths seen, over the time that living nuclei were watched", unit="1/day"),
    number_column(
        "Live_AreaGrowthPerHour", "median growth of single nuclei's area along their tracks", DEEPCELL, unit="%/h"
    ),
    number_column("Live_SpeedPxPerHour", "median path of tracks over their time, drift taken out", unit="px/h"),
    *_answers("", "Nuclei_Sensor_Ratio"),
    *_answers("_Mixture", "Nuclei_Sensor_RatioMixture"),
    number_column(
        "Live_NucleusCytoplasm",
        f"nucleus over cytoplasm (1 / Nuclei_Sensor_Ratio) before the light at live.stimulus_min, {_CURVE}",
    ),
    number_column(
        "Live_NuclearLoss",
        "share of Live_NucleusCytoplasm that is lost in the last quarter of the light, or, where live.light_off_min "
        "is not stated, at the lowest",
        LEXY,
    ),
    number_column(
        "Live_ExportHalfMin",
        f"time from the light's beginning until half of that is lost, {_CURVE}",
        LEXY,
        "min",
    ),
    number_column(
        "Live_RecoveryHalfMin",
        f"time from the light's end, live.light_off_min or else the lowest, until half of the loss is back, {_CURVE}",
        LEXY,
        "min",
    ),
    text_column("Live_Reason", "why readouts of tracks are NaN; empty where none is"),
)
"""What tracks add to the well table."""

CYCLE_COLUMNS: tuple[Column, ...] = (
    text_column("Metadata_Well", "well, row letters and two-digit column"),
    count_column("Metadata_Site", "", "field: its 0-based position in the well's metadata"),
    count_column("Track_Label", "", "track of the cell"),
    count_column("Track_Parent", "", "track of its mother"),
    number_column("Birth_Min", "time of its first frame", unit="min"),
    number_column("Watched_Min", "time from birth to division, or to the end of the track", unit="min"),
    Column("Divided", "bool", "", "the track ends in a division, so that Watched_Min is the cell's cycle", ""),
    text_column("Ended", "how the track ends: divided, died, end, left, merged, lost"),
    text_column(
        "Class", "inc, emerging, low, undecided (not watched for long enough); empty without a sensor", SPENCER
    ),
    number_column("Rise_Min", "time after birth at which CDK2 begins to rise; NaN where it is not seen to", unit="min"),
    number_column("Unrisen_Min", "time after birth for which CDK2 was known not to rise", unit="min"),
    number_column("Ratio_Lowest", "lowest smoothed sensor ratio before the rise"),
)
"""One row a cell born in a division whose track is read."""

FRAME_COLUMNS: tuple[Column, ...] = (
    text_column("Metadata_Well", "well, row letters and two-digit column"),
    count_column("Metadata_Timepoint", "frames", "frame, from 0"),
    number_column("Metadata_Time_min", "time of the frame; NaN where no interval is known", unit="min"),
    count_column("Count_Fields", "fields", "fields of the well with a nucleus in the frame"),
    count_column("Count_Nuclei", "nuclei", "nuclei of the frame"),
    number_column("Count_PerField", "Count_Nuclei / Count_Fields", unit="nuclei"),
    number_column("Fraction_SensorHigh", "share of the nuclei with a sensor ratio above the threshold"),
    number_column(
        "Mean_NucleusCytoplasm", "mean over the frame's nuclei of 1 / Nuclei_Sensor_Ratio, where that is above 0"
    ),
    *(
        number_column(f"{kind}_{name}", f"{kind.lower()} over the frame's nuclei of {name}", unit=unit)
        for name, unit in (
            ("Nuclei_Sensor_Ratio", ""),
            ("Nuclei_Sensor_RatioMixture", ""),
            ("Nuclei_AreaShape_Area", "px"),
            ("Nuclei_DNA_Content", "grey levels"),
        )
        for kind in ("Mean", "Median")
    ),
)
"""One row a well and frame."""
LEADING = (
    "Live_CycleMin",
    "Live_HoursPerDivision",
    "Live_DivisionsPerDay",
    "Fraction_LiveReentered",
    "Live_GrowthPerDay",
)
"""Columns of the well table that get dose curves, hits and Z' where the user names none."""
LEADING_LIGHT = ("Live_NuclearLoss", "Live_ExportHalfMin", "Live_RecoveryHalfMin")
"""Those beside them where a light is stated, by the time that it ends."""
ZPRIME_TIME_COLUMNS: tuple[Column, ...] = (
    text_column("Readout", "column of the table of frames"),
    text_column("Group", "group of the plate map; empty: all controls of the plate"),
    count_column("Metadata_Timepoint", "frames", "frame, from 0"),
    number_column(
        "Metadata_Time_min", "time of the frame, mean over wells; NaN where no interval is known", unit="min"
    ),
    count_column("Count_Positive", "wells", "positive wells with a value"),
    count_column("Count_Negative", "wells", "negative wells with a value"),
    *with_interval("ZPrime", "Z' of the positive against the negative wells at this frame", _ZHANG),
    text_column("Reason", "why ZPrime is NaN; empty where it is a number"),
)
WINDOW_COLUMNS: tuple[Column, ...] = (
    text_column("Readout", "column of the table of frames"),
    text_column("Group", "group of the plate map; empty: all controls of the plate"),
    count_column("FirstFrame", "frames", "first frame of the window that is best over all wells; -1 for none"),
    count_column("LastFrame", "frames", "its last frame"),
    number_column("FirstMin", "time of that first frame", unit="min"),
    number_column("LastMin", "time of the last one", unit="min"),
    number_column("ZPrime_Chosen", "Z' of the window's mean over all wells: too good, as it was chosen by it", _ZHANG),
    *with_interval(
        "ZPrime",
        "cross-validated Z': each pair of a positive and a negative well is read in the window that is best for the "
        "others, on the scale on which their means are 1 and 0",
        _ZHANG,
    ),
    number_column("Stability", "share of these pairs whose window overlaps the one chosen over all wells"),
    count_column("Count_Windows", "windows", "windows that were compared"),
    text_column("Reason", "why ZPrime is NaN; empty where it is a number"),
)
