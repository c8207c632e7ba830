"""Columns that tracking gives: of each nucleus, and of each track."""

from __future__ import annotations

from hcs.columns import Column

HCS = "hcs"
_JAQAMAN = "assignment after Jaqaman et al., Nat. Methods 5, 695 (2008)"
_TRAM = "TrAM, Patsch et al., Sci. Rep. 6, 34785 (2016)"
_DEEPCELL = "Van Valen et al., PLoS Comput. Biol. 12, e1005177 (2016)"
PREFIX = "Nuclei_TrackObjects_"


def _nucleus(name: str, dtype: str, unit: str, definition: str, source: str = HCS) -> Column:
    return Column(f"{PREFIX}{name}", dtype, unit, definition, source)


NUCLEUS_COLUMNS: tuple[Column, ...] = (
    _nucleus(
        "Label",
        "int32",
        "",
        "Track of the nucleus, from 1 in every field; daughters have new ones (CellProfiler gives them the mother's, "
        "which is LineageLabel here)",
        _JAQAMAN,
    ),
    _nucleus("LineageLabel", "int32", "", "Track of the first cell known of its line, which all descendants share"),
    _nucleus("ParentLabel", "int32", "", "Track of the mother; 0 where no division was seen"),
    _nucleus(
        "ParentObjectNumber",
        "int64",
        "",
        "Metadata_ObjectNumber of the same nucleus when it was last seen, or of the mother; 0 where a track begins",
        "CellProfiler TrackObjects",
    ),
    _nucleus(
        "ParentTimepoint", "int32", "frames", "Metadata_Timepoint of that nucleus; -1 where a track begins without one"
    ),
    _nucleus(
        "Lifetime", "int32", "frames", "Frames since the track began, 1 in its first", "CellProfiler TrackObjects"
    ),
    _nucleus(
        "LinkingDistance",
        "float32",
        "px",
        "Distance from where the nucleus, or its mother, was last seen, the field's drift taken out; NaN where a track "
        "begins without a mother",
        "CellProfiler TrackObjects",
    ),
    _nucleus(
        "LinkScore",
        "float32",
        "",
        "Probability of the link to the nucleus or mother before, among no link and swaps with neighbours, by place, "
        "area and DNA intensity; NaN where a track begins without one",
    ),
    _nucleus(
        "Jump",
        "float32",
        "",
        "How far place, area and mean DNA intensity jump against the median of the track's last 5 frames, each in "
        "units of the movie's own scatter, together as their mean of power 1/2; about 1 on average, NaN in the first "
        "frame",
        _TRAM,
    ),
    _nucleus("Quality", "float32", "", "Track_Quality of the nucleus's track"),
)
"""What linking adds to the nucleus table of a plate with time."""


def _track(name: str, dtype: str, unit: str, definition: str, source: str = HCS) -> Column:
    return Column(f"Track_{name}", dtype, unit, definition, source)


TRACK_COLUMNS: tuple[Column, ...] = (
    _track("Label", "int32", "", "Number of the track in its field, from 1"),
    _track("Parent", "int32", "", "Track of the mother; 0 where no division was seen"),
    _track("Lineage", "int32", "", "Track of the first cell known of its line"),
    _track("FirstFrame", "int32", "frames", "Metadata_Timepoint in which the track begins"),
    _track("LastFrame", "int32", "frames", "Metadata_Timepoint in which the track ends"),
    _track("Frames", "int32", "frames", "Frames in which the nucleus is seen"),
    _track("FirstMin", "float64", "min", "Time of the first frame; NaN where no interval is known"),
    _track("LastMin", "float64", "min", "Time of the last frame; NaN where no interval is known"),
    _track(
        "Began",
        "string",
        "",
        "start (of the movie), divided (born), entered (beside the field's border), split (of a nucleus that loses as "
        "much area), appeared (none of these)",
    ),
    _track(
        "Ended",
        "string",
        "",
        "divided, died (small and condensed until the end), end (of the movie), left (beside the field's border), "
        "merged (into a nucleus that gains as much area), lost (none of these)",
    ),
    _track(
        "DeathFrame",
        "int32",
        "frames",
        "First frame from which the nucleus stays dead: area at most tracks.dead_small of the median of its frames "
        "before, and median mean DNA intensity at least tracks.dead_condensed of that, or all tracks.dead_bright; "
        "-1 for a living one",
    ),
    _track(
        "Quality",
        "float32",
        "",
        "Probability that all links of the track, and its birth, are right: product of Nuclei_TrackObjects_LinkScore",
    ),
    _track("JumpMax", "float32", "", "Largest Nuclei_TrackObjects_Jump; NaN for a single frame", _TRAM),
    _track("AreaJumps", "int32", "", "Changes of area by more than 30 % from one frame to the next", _DEEPCELL),
    _track("Gaps", "int32", "frames", "Frames within the track in which the nucleus was missed"),
    _track("MedianArea", "float32", "px", "Median area"),
    _track("Path", "float32", "px", "Length of the way from frame to frame, the field's drift taken out"),
    _track("Displacement", "float32", "px", "Distance of the last place from the first, the field's drift taken out"),
)
"""One row a track. A track is told by plate, well, field and Track_Label."""
