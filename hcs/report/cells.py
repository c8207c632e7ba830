"""DNA content against sensor ratio over all nuclei: density, a sample of points, and whose pictures to show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcs.report.embed import float32_text, uint16_text
from hcs.report.names import feature_name
from hcs.report.tables import PlateTables

DENSITY = (72, 54)
REGIONS = (12, 9)
_MOST_POINTS = 6000
_MOST_A_REGION = 40
_SEED = 0


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: the column it shows, whether its base-2 logarithm is shown, the range of shown values, in words."""

    column: str
    log: bool
    low: float
    high: float
    title: str

    def data(self) -> dict[str, object]:
        """As plain data."""
        return {"column": self.column, "log": self.log, "low": self.low, "high": self.high, "title": self.title}


@dataclass(frozen=True, slots=True)
class Cells:
    """The scatter: axes, ``density`` (columns × rows of counts), ``points`` (a sample), ``shown`` (with pictures).

    The frames have Metadata_Well, x, y; ``shown`` also site, object and region, an index over ``REGIONS``.
    """

    x: Axis
    y: Axis
    density: npt.NDArray[np.int64]
    points: pd.DataFrame
    shown: pd.DataFrame
    nuclei: int
    left_out: int

    def data(self, wells: list[str]) -> dict[str, object]:
        """As plain data; wells by their place in ``wells``."""
        codes = pd.Index(wells)
        return {
            "x": self.x.data(),
            "y": self.y.data(),
            "bins": list(DENSITY),
            "regions": list(REGIONS),
            "density": self.density.ravel().tolist(),
            "nuclei": self.nuclei,
            "leftOut": self.left_out,
            "points": _frame_data(self.points, codes),
            "shown": _frame_data(self.shown, codes)
            | {
                "site": [int(v) for v in self.shown["site"]],
                "object": [int(v) for v in self.shown["object"]],
                "region": [int(v) for v in self.shown["region"]],
            },
        }


def scatter_cells(
    tables: PlateTables, nuclei: pd.DataFrame, *, pictured: dict[str, int], most_shown: int = 1500
) -> Cells | None:
    """The scatter of the measured ``nuclei``; None where DNA content was not measured or no nucleus has values.

    The second axis is the sensor ratio, the nuclear area where there is no sensor. ``pictured`` maps wells to the field
    whose image is read anyway: pictures come from these, at most 40 a region of the plane and ``most_shown`` in all,
    drawn at random with a fixed seed.
    """
    if "Nuclei_DNA_Content" not in nuclei or nuclei.empty:
        return None
    in_n = tables.peak_usable
    scale = 2 / float(tables.peak["DNA_TwoN"]) if in_n else 1.0
    other = "Nuclei_Sensor_Ratio" if "Nuclei_Sensor_Ratio" in nuclei else "Nuclei_AreaShape_Area"
    x = scale * nuclei["Nuclei_DNA_Content"].to_numpy(dtype=np.float64)
    y = nuclei[other].to_numpy(dtype=np.float64)
    good = np.isfinite(x) & np.isfinite(y) & (x > 0) & (y > 0)
    if not good.any():
        return None
    frame = pd.DataFrame(
        {
            "Metadata_Well": nuclei["Metadata_Well"].astype(str).to_numpy()[good],
            "site": nuclei["Metadata_Site"].to_numpy()[good],
            "object": nuclei["Metadata_ObjectNumber"].to_numpy()[good],
            "x": x[good] if in_n else np.log2(x[good]),
            "y": np.log2(y[good]),
        }
    )
    title = "DNA content (N)" if in_n else "log₂ DNA content (grey levels)"
    across = Axis("Nuclei_DNA_ContentN" if in_n else "Nuclei_DNA_Content", not in_n, *_range(frame["x"], in_n), title)
    up = Axis(other, True, *_range(frame["y"], False), feature_name(other))
    columns, rows = _bins(frame["x"], across, DENSITY[0]), _bins(frame["y"], up, DENSITY[1])
    density = np.bincount(rows * DENSITY[0] + columns, minlength=DENSITY[0] * DENSITY[1])
    rng = np.random.default_rng(_SEED)
    shuffled = frame.iloc[rng.permutation(len(frame))]
    points = shuffled.head(_MOST_POINTS)
    shown = _with_pictures(shuffled, across, up, pictured, most_shown)
    return Cells(across, up, density, points, shown, len(frame), int((~good).sum()))


def _with_pictures(frame: pd.DataFrame, x: Axis, y: Axis, pictured: dict[str, int], most: int) -> pd.DataFrame:
    """The first nuclei of each region among those in pictured fields; fewer a region where all are too many."""
    here = frame["Metadata_Well"].map(pictured).to_numpy(dtype=np.float64, na_value=np.nan) == frame["site"].to_numpy()
    chosen = frame[here]
    region = _bins(chosen["y"], y, REGIONS[1]) * REGIONS[0] + _bins(chosen["x"], x, REGIONS[0])
    chosen = chosen.assign(region=region)
    rank = chosen.groupby("region").cumcount()
    chosen = chosen[rank < _MOST_A_REGION].assign(rank=rank)
    ranked: pd.DataFrame = chosen.sort_values(["rank", "region"], kind="stable")
    return ranked.head(most).drop(columns="rank")


def _range(values: pd.Series, from_zero: bool) -> tuple[float, float]:
    """What an axis shows: all but the outermost 0.2 % of the values, with a little room."""
    low, high = (float(v) for v in np.percentile(values, [0.2, 99.8]))
    if from_zero:
        return 0.0, max(6.0, min(high * 1.05, 10.0))
    room = max(0.05 * (high - low), 0.05)
    return low - room, high + room


def _bins(values: pd.Series, axis: Axis, n: int) -> npt.NDArray[np.int64]:
    """Bin of each value; those beyond the axis are in the end bins."""
    share = (values.to_numpy(dtype=np.float64) - axis.low) / (axis.high - axis.low)
    return np.clip((share * n).astype(np.int64), 0, n - 1)


def _frame_data(frame: pd.DataFrame, wells: pd.Index[str]) -> dict[str, object]:
    return {
        "n": len(frame),
        "well": uint16_text(wells.get_indexer(pd.Index(frame["Metadata_Well"]))),
        "x": float32_text(frame["x"]),
        "y": float32_text(frame["y"]),
    }


def measured(nuclei: pd.DataFrame, *, exclude_border: bool) -> pd.DataFrame:
    """The nuclei that the well table's means are made of: not at a field's border, where these are left out, no dead
    cells, where these are, and in no field that was left out for its flags, of which no nucleus has a gate."""
    keep = np.ones(len(nuclei), bool)
    if exclude_border and "Nuclei_Flag_TouchesBorder" in nuclei:
        keep &= ~nuclei["Nuclei_Flag_TouchesBorder"].to_numpy(dtype=bool)
    if "Gate" in nuclei and nuclei["Gate"].notna().any():
        keep &= nuclei["Gate"].notna().to_numpy() & (nuclei["Gate"] != "dead").to_numpy()
    return nuclei[keep]
