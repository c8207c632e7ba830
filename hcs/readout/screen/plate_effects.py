"""Effects of a well's place on the plate, taken out: rows and columns by median polish, or edge and straight lines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import chdtrc

from hcs.plate.keys import WellId
from hcs.readout.groups import Floats, values_of
from hcs.readout.screen.spread import MAD_TO_SD, robust_sd
from hcs.readout.settings import HitSettings

_FORMATS = ((2, 3), (3, 4), (4, 6), (6, 8), (8, 12), (16, 24), (32, 48))  # SLAS plates of 6 to 1536 wells


@dataclass(frozen=True, slots=True)
class Positions:
    """0-based rows and columns (n_wells,) on a plate of ``shape`` (rows, columns)."""

    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    shape: tuple[int, int]

    @property
    def edge(self) -> npt.NDArray[np.bool_]:
        """Whether each well is one of the plate's outermost."""
        last_row, last_column = self.shape[0] - 1, self.shape[1] - 1
        return np.isin(self.rows, (0, last_row)) | np.isin(self.columns, (0, last_column))


def positions_of(wells: Iterable[str]) -> Positions:
    """Positions of wells (names such as ``B03``), on the smallest standard plate that holds all of them."""
    ids = [WellId.parse(str(well)) for well in wells]
    rows = np.array([well.row for well in ids], dtype=np.int64)
    columns = np.array([well.column for well in ids], dtype=np.int64)
    needed = int(rows.max(initial=0)) + 1, int(columns.max(initial=0)) + 1
    fitting = [shape for shape in _FORMATS if shape[0] >= needed[0] and shape[1] >= needed[1]]
    return Positions(rows, columns, fitting[0] if fitting else needed)


Bools = npt.NDArray[np.bool_]
_MIN_SAMPLES = 12  # sample wells that an effect is estimated from
_MIN_LINE = 3  # samples that a row or column needs to have an effect of its own
_ROUNDS = 30
_HUBER = 1.345  # robust standard deviations from which on a residual counts less (95 % efficient on Gaussian data)
_SEEN = 0.05  # p-value from which on samples show an effect of the position; one needlessly taken out costs little
_MIXED = 5  # compounds of a row or column from which on its effect can be told from theirs
_ALONG = 0.5  # rank correlation of dose and row or column from which on a layout counts as laid out by dose


@dataclass(frozen=True, slots=True)
class Corrected:
    """Values and effects (n_wells,); ``polished`` is the B-score, NaN without a median polish. ``method`` is what was
    done; ``reason``: why nothing is taken out though an effect was looked for or asked for."""

    values: Floats
    effects: Floats
    polished: Floats
    method: str = "none"
    reason: str = ""


def correct(wells: pd.DataFrame, readout: str, settings: HitSettings) -> Corrected:
    """Values of a readout less the effect of the position, by ``settings.correction``.

    The effect is learned from the sample wells, most of which must have no effect of their own and lie at random. Where
    doses or replicates are laid out along rows or columns it cannot be told from theirs, and nothing is taken out, with
    the reason. Control wells get the effects of their rows and columns; a row or column of fewer than three samples has
    none. Controls in columns of their own are therefore no measure of corrected samples: see ``hits.reference``.
    """
    values = values_of(wells, readout)
    if settings.correction == "none":
        return _left(values)
    place = positions_of(wells["Metadata_Well"])
    samples = (wells["Metadata_Role"] == "sample").to_numpy() & np.isfinite(values)
    reason = _unfit(wells, place, samples)
    return _left(values, reason) if reason else taken_out(values, place, samples, settings.correction)


def _left(values: Floats, reason: str = "") -> Corrected:
    """Values as they are."""
    return Corrected(values, np.zeros(values.size), np.full(values.size, np.nan), reason=reason)


def taken_out(values: Floats, place: Positions, samples: Bools, method: str) -> Corrected:
    """Values (n_wells,) less the effect of the position, learned from ``samples`` (n_wells,), which lie at random."""
    if method == "auto":
        found = position_trends(values, place, samples)
        if not any(trend.p < _SEEN for trend in found):
            least = min((trend.p for trend in found), default=1.0)
            return _left(values, f"the samples show no effect of the position (p = {least:.2g})")
        method = "both"
    none = np.zeros(values.size), np.full(values.size, np.nan)
    lines = _lines(values, place, samples) if method in ("edge", "both") else none[0]
    if method == "edge":
        return Corrected(values - lines, lines, none[1], method)
    if method == "both":
        effects, centre = _factors(values - lines, place, samples), 0.0
    else:
        effects, centre = _polish(values, place, samples)
    left = values - lines - effects - centre
    left -= np.median(left[samples]) if method == "both" else 0.0
    spread = robust_sd(left[samples])
    polished = left / spread if spread > 0 else none[1]
    return Corrected(values - lines - effects, lines + effects, polished, method)


@dataclass(frozen=True, slots=True)
class Trend:
    """Whether wells differ by ``what``: rows, columns or the edge. ``p`` of chance, ``span`` of the medians."""

    what: str
    p: float
    span: float


def position_trends(values: Floats, place: Positions, chosen: Bools) -> list[Trend]:
    """Tests of the ``chosen`` wells (n_wells,) for effects of row, column and edge (Kruskal & Wallis 1952).

    None for fewer than 12 wells; only of what at least two groups of three wells part.
    """
    y = values[chosen]
    if y.size < _MIN_SAMPLES or np.ptp(y) == 0:
        return []
    found = []
    for what, codes in (("rows", place.rows), ("columns", place.columns), ("edge", place.edge.astype(np.int64))):
        own = codes[chosen]
        groups = [y[own == code] for code in np.unique(own)]
        groups = [group for group in groups if group.size >= _MIN_LINE]
        if len(groups) < 2:
            continue
        medians = [float(np.median(group)) for group in groups]
        found.append(Trend(what, _kruskal(groups), max(medians) - min(medians)))
    return found


def _kruskal(groups: list[Floats]) -> float:
    """p-value that groups have one distribution, by ranks (Kruskal & Wallis 1952), ties at their mean."""
    together = np.concatenate(groups)
    ranks = _ranks(together) - (together.size + 1) / 2
    total = float((ranks**2).sum())
    ends = np.cumsum([group.size for group in groups])
    between = sum(float(part.sum()) ** 2 / part.size for part in np.split(ranks, ends[:-1]))
    return float(chdtrc(len(groups) - 1, (together.size - 1) * between / total)) if total > 0 else 1.0


def _ranks(values: Floats) -> Floats:
    """Ranks (n,) from 1, ties at their mean."""
    _, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Floats = (last - (counts - 1) / 2)[codes]
    return ranks


def _unfit(wells: pd.DataFrame, place: Positions, samples: Bools) -> str:
    """Why no effect can be learned from the samples; empty where one can."""
    if samples.sum() < _MIN_SAMPLES:
        return f"{samples.sum()} sample wells with a value, at least {_MIN_SAMPLES} needed to learn a plate effect"
    chosen = wells[samples]
    table = pd.DataFrame(
        {
            "compound": chosen["Metadata_Compound"].to_numpy(dtype=object),
            "dose": values_of(chosen, "Metadata_Dose"),
            "row": place.rows[samples],
            "column": place.columns[samples],
        }
    )
    for line in ("row", "column"):
        mixed = float(table.groupby(line)["compound"].nunique().median()) >= _MIXED
        for keys, least in ((["compound", "dose"], 2), (["compound"], 3)):
            sizes = table.groupby(keys, dropna=False)[line].agg(["size", "nunique"])
            several = sizes[sizes["size"] >= least]
            together = int((several["nunique"] == 1).sum())
            if len(several) and together > len(several) / 2 and not mixed:
                what = f"{together} of {len(several)} {'conditions' if len(keys) == 2 else 'compounds'}"
                return f"{what} lie in one {line} each: the {line}'s effect cannot be told from theirs"
        if _along(table, line) > _ALONG:
            return f"the doses are laid out along the {line}s: the {line}'s effect cannot be told from theirs"
    return ""


def _along(table: pd.DataFrame, line: str) -> float:
    """Mean |rank correlation| of dose and row or column, over compounds of three or more doses."""
    found = []
    several = table[table.groupby("compound")["dose"].transform("nunique") >= 3]
    for _, rows in several.groupby("compound"):
        if rows[line].nunique() >= 2:
            found.append(abs(float(np.corrcoef(rows["dose"].rank(), rows[line].rank())[0, 1])))
    return float(np.mean(found)) if found else 0.0


def _polish(values: Floats, place: Positions, samples: Bools) -> tuple[Floats, float]:
    """Effects (n_wells,) of rows and columns by median polish of the samples (Tukey 1977), and the plate's centre."""
    left = np.full(place.shape, np.nan)
    left[place.rows[samples], place.columns[samples]] = values[samples]
    effects = [np.zeros(n) for n in place.shape]
    counts = [np.isfinite(left).sum(axis=1 - axis) for axis in (0, 1)]
    scale = float(np.abs(values[samples]).max())
    centre = 0.0
    for _ in range(_ROUNDS):
        moved = 0.0
        for axis in (0, 1):
            step = _medians(left if axis == 0 else left.T)
            left -= step[:, None] if axis == 0 else step
            effects[axis] += step
            middle = float(np.median(effects[axis][counts[axis] > 0]))
            centre += middle
            effects[axis][counts[axis] > 0] -= middle
            moved = max(moved, float(np.abs(step).max()))
        if moved <= 1e-9 * scale:
            break
    rows, columns = (np.where(count >= _MIN_LINE, effect, 0.0) for effect, count in zip(effects, counts, strict=True))
    effect: Floats = rows[place.rows] + columns[place.columns]
    return effect, centre


def _medians(lines: Floats) -> Floats:
    """Median (n,) of the finite values of each line (n, m); 0 for a line without any."""
    ranked = np.sort(lines, axis=1)  # NaN last
    counts = np.isfinite(lines).sum(axis=1)
    each = np.arange(len(lines))
    middle = (ranked[each, np.maximum(counts - 1, 0) // 2] + ranked[each, counts // 2 * (counts > 0)]) / 2
    medians: Floats = np.where(counts > 0, middle, 0.0)
    return medians


def _lines(values: Floats, place: Positions, samples: Bools) -> Floats:
    """Effects (n_wells,) of lying on the edge and of straight lines down the rows and along the columns.

    Huber's regression over the samples by reweighting; on average 0 over these.
    """
    x = np.column_stack([place.edge.astype(np.float64), place.rows, place.columns]).astype(np.float64)
    x -= x[samples].mean(axis=0)
    slopes = _huber(np.column_stack([np.ones(int(samples.sum())), x[samples]]), values[samples])
    effects: Floats = x @ slopes[1:]
    return effects


def _factors(values: Floats, place: Positions, samples: Bools) -> Floats:
    """Effects (n_wells,) of every row and column, by Huber's regression over the samples; on average 0 over these.

    Not by medians: these put a sample of every row and column at exactly 0, and what is left then looks as if it had
    heavy tails. A row or column of fewer than three samples has no effect.
    """
    parts = []
    for codes in (place.rows, place.columns):
        known, counts = np.unique(codes[samples], return_counts=True)
        one = (codes[:, None] == known[counts >= _MIN_LINE]).astype(np.float64)
        parts.append(one - np.where(one.any(axis=1, keepdims=True), one[samples].mean(axis=0), 0.0))
    x = np.column_stack(parts)
    fitted = _huber(np.column_stack([np.ones(int(samples.sum())), x[samples]]), values[samples])
    effects: Floats = x @ fitted[1:]
    return effects


def _huber(design: Floats, y: Floats) -> Floats:
    """Coefficients (k,) of y (n,) on a design (n, k) by Huber's regression, by reweighting; the shortest of many."""
    weights = np.ones(y.size)
    fitted: Floats = np.zeros(design.shape[1])
    for _ in range(_ROUNDS):
        root = np.sqrt(weights)
        fitted = np.asarray(np.linalg.lstsq(design * root[:, None], y * root, rcond=1e-9)[0], dtype=np.float64)
        left = np.abs(y - design @ fitted)
        spread = MAD_TO_SD * float(np.median(left))
        if not spread > 0:
            break
        before, weights = weights, np.minimum(1.0, _HUBER * spread / np.maximum(left, np.finfo(np.float64).tiny))
        if np.abs(weights - before).max() < 1e-4:
            break
    return fitted
