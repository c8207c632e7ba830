"""Kinds of nuclei taught by examples: gradient-boosted trees on the table's columns, and what wells hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.columns import CLASS, SCORE, Column
from hcs.errors import ConfigError

KEYS = ("Metadata_Well", "Metadata_Site", "Metadata_ObjectNumber")
TIMED_KEYS = (*KEYS[:2], "Metadata_Timepoint", KEYS[2])
"""Of a plate with time, where a nucleus is one of a frame."""
LEAST = 10
"""Examples that each class needs."""
_FOLDS = 5
_TEMPERATURES = np.round(1.15 ** np.arange(25), 3)
_TINY = 1e-6
"""Least probability of a class: examples that were called the other class with certainty count, but not without end."""
_PLACE = ("Center_", "BoundingBox", "Orientation")
"""Parts of names of features that say where a nucleus lies, and nothing about its kind."""

CLASS_COLUMNS = (
    Column("Metadata_Plate", "string", "", "name of the plate", "plate metadata"),
    Column("Metadata_Well", "string", "", "well, row letters and two-digit column", "plate metadata"),
    Column("Metadata_Site", "int32", "", "field: its 0-based position in the well's metadata", "plate metadata"),
    Column("Metadata_ObjectNumber", "int64", "", "Value of the nucleus in the label image", "hcs"),
    Column(CLASS, "string", "", "class of the nucleus, of those that examples were given of", "hcs classify"),
    Column(
        SCORE,
        "float64",
        "",
        "probability of that class by the trees, over the sum of all classes', at the temperature at which it is as "
        "sure as it is right on wells not seen; near one half of two classes the nucleus could be either",
        "scikit-learn HistGradientBoostingClassifier",
    ),
    Column("Example", "string", "", "class that the user gave; empty for a nucleus that is no example", "examples"),
)
"""Columns of ``classes.parquet``."""


@dataclass(frozen=True, slots=True)
class Taught:
    """A classifier, and how it did on wells that it had not seen."""

    model: Any
    classes: tuple[str, ...]
    features: tuple[str, ...]
    truth: NDArray[np.str_]
    """(n,) the examples' classes."""
    held_out: NDArray[np.str_]
    """(n,) the classes that they got by trees which saw none of their well."""
    score: NDArray[np.float64]
    """(n,) the scores of these."""
    wells: int
    temperature: float
    """How much surer the trees are than they are right on wells they have not seen; scores are softened by it."""

    @property
    def accuracy(self) -> float:
        """Share of the examples that got their class from trees which had not seen their well."""
        return float(np.mean(self.truth == self.held_out))

    def lines(self) -> tuple[str, ...]:
        """How it did, in words."""
        first = (
            f"{len(self.truth)} examples in {self.wells} wells; {self.accuracy:.1%} right on wells that the trees "
            "had not seen"
        )
        return (first, *(self._line(name) for name in self.classes), *self._doubts())

    def _line(self, name: str) -> str:
        true, found = self.truth == name, self.held_out == name
        right = np.count_nonzero(true & found)
        others = ", ".join(
            f"{np.count_nonzero(true & (self.held_out == other))} as {other}"
            for other in self.classes
            if other != name and (true & (self.held_out == other)).any()
        )
        precise = f"{right / np.count_nonzero(found):.1%}" if found.any() else "none"
        return (
            f"{name}: {right} of {np.count_nonzero(true)} found{f' ({others})' if others else ''}; of those called so "
            f"{precise} right"
        )

    def _doubts(self) -> tuple[str, ...]:
        wrong = self.truth != self.held_out
        if not wrong.any():
            return ()
        return (
            f"median score {np.median(self.score[wrong]):.2f} where wrong, "
            f"{np.median(self.score[~wrong]):.2f} where right",
        )


def features_of(names: Iterable[str]) -> tuple[str, ...]:
    """The columns of the nucleus table that tell a kind: not keys, flags, tracks, or where the nucleus lies."""
    compartments = ("Nuclei_", "Cytoplasm_", "Cells_", "Ring_")
    return tuple(
        name
        for name in names
        if name.startswith(compartments)
        and "_Flag_" not in name
        and not name.startswith("Nuclei_TrackObjects_")
        and not any(part in name for part in _PLACE)
    )


def read_examples(frame: pd.DataFrame, source: str, *, timed: bool = False) -> pd.DataFrame:
    """Examples as KEYS and ``class``, of a table with ``nucleus`` (well/field/number) or KEYS, and ``class``; of a
    plate that is ``timed`` as TIMED_KEYS, ``nucleus`` being well/field/frame/number. ConfigError naming what is missing
    or wrong."""
    wanted: tuple[str, ...] = TIMED_KEYS if timed else KEYS
    numbers, such = ("frame/number", "B03/0/12/17") if timed else ("number", "B03/0/17")
    named = {str(name).strip().lower(): name for name in frame.columns}
    label = next((named[name] for name in ("class", "nuclei_class") if name in named), None)
    if label is None:
        raise ConfigError(f"{source} has no column `class`; write a column `nucleus` such as {such}, and `class`")
    classes = frame[label].astype("str").str.strip()
    if (frame[label].isna() | (classes == "")).any():
        raise ConfigError(f"{source} has rows without a class; give every nucleus one, or leave the row out")
    if all(key.lower() in named for key in wanted):
        keys = pd.DataFrame({key: frame[named[key.lower()]] for key in wanted})
    elif "nucleus" in named:
        parts = (
            frame[named["nucleus"]]
            .astype("str")
            .str.strip()
            .str.extract("^([^/]+)" + r"/(\d+)" * (len(wanted) - 1) + "$")
        )
        bad = parts.isna().any(axis=1)
        if bad.any():
            raise ConfigError(
                f"{source}: {frame[named['nucleus']][bad].iloc[0]!r} names no nucleus; write well/field/{numbers}, "
                f"such as {such}"
            )
        keys = parts.set_axis(list(wanted), axis=1)
    else:
        raise ConfigError(f"{source} has neither a column `nucleus` nor {', '.join(wanted)}; add one, such as {such}")
    try:
        keys = keys.astype({"Metadata_Well": "str", **dict.fromkeys(wanted[1:], "int64")})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{source} has a field or a number of a nucleus that is no whole number ({error})") from error
    examples = keys.assign(**{"class": classes.to_numpy()}).drop_duplicates()
    twice = examples.duplicated(list(wanted), keep=False)
    if twice.any():
        raise ConfigError(f"{source} gives nucleus {_nucleus(examples[twice].iloc[0])} two classes; keep one")
    return examples.reset_index(drop=True)


def keys_of(examples: pd.DataFrame) -> list[str]:
    """The columns that name a nucleus: KEYS, or TIMED_KEYS."""
    return [name for name in TIMED_KEYS if name in examples]


def _nucleus(row: pd.Series) -> str:
    return "/".join(str(row[name]) for name in TIMED_KEYS if name in row)


def teach(nuclei: pd.DataFrame, examples: pd.DataFrame, source: str) -> Taught:
    """A classifier of the ``examples`` (KEYS or TIMED_KEYS, class) among ``nuclei``, cross-validated by well.

    ConfigError where scikit-learn is not installed, an example is none of the nuclei, where there are fewer than two
    classes, fewer than ten examples of a class, or examples in one well only: nothing could be said of other wells.
    """
    _need_scikit_learn()
    check_examples(examples, source)
    known = examples.merge(nuclei, on=keys_of(examples), how="left", indicator=True)
    lost = known[known["_merge"] != "both"]
    if len(lost):
        raise ConfigError(
            f"{source}: {len(lost)} of its nuclei are not in the results, such as {_nucleus(lost.iloc[0])}; take their "
            "names from the table of nuclei"
        )
    features = features_of(str(name) for name in nuclei.columns)
    values = known[list(features)].to_numpy(dtype=np.float64)
    truth = known["class"].to_numpy(dtype=np.str_)
    wells = known["Metadata_Well"].to_numpy(dtype=np.str_)
    classes = np.unique(truth)
    said = _cross_validated(values, truth, wells, classes)
    temperature = _temperature(said, np.searchsorted(classes, truth))
    said = _softened(said, temperature)
    model = _fitted(values, truth)
    held_out, score = classes[said.argmax(axis=1)], said.max(axis=1)
    names = tuple(map(str, classes))
    return Taught(model, names, features, truth, held_out, score, len(np.unique(wells)), temperature)


def check_examples(examples: pd.DataFrame, source: str) -> None:
    """ConfigError where examples are too few to teach anything, or to know whether they did."""
    counts = examples["class"].value_counts()
    if len(counts) < 2:
        raise ConfigError(f"{source} has examples of {len(counts)} class(es); give two or more")
    few = counts[counts < LEAST]
    if len(few):
        raise ConfigError(
            f"{source} has {int(few.iloc[0])} examples of {few.index[0]!r}; give {LEAST} or more of every class"
        )
    wells = examples.groupby("class")["Metadata_Well"].nunique()
    alone = wells[wells < 2]
    if len(alone):
        raise ConfigError(
            f"{source} has {alone.index[0]!r} in one well only; give examples of every class in two wells or more, or "
            "nobody can tell the class from the well"
        )


def _cross_validated(
    values: NDArray[np.float64], truth: NDArray[np.str_], wells: NDArray[np.str_], classes: NDArray[np.str_]
) -> NDArray[np.float64]:
    """Probability (n, k) of every class for every example, by trees that saw no example of its well."""
    from sklearn.model_selection import GroupKFold  # noqa: PLC0415

    folds = GroupKFold(min(_FOLDS, len(np.unique(wells))))
    said = np.zeros((len(truth), len(classes)))
    for seen, rest in folds.split(values, truth, wells):
        there = np.unique(truth[seen])
        places = np.searchsorted(classes, there)
        if len(there) == 1:
            said[rest, places[0]] = 1.0
        else:
            said[np.ix_(rest, places)] = _fitted(values[seen], truth[seen]).predict_proba(values[rest])
    return said


def _temperature(said: NDArray[np.float64], truth: NDArray[np.intp]) -> float:
    """The temperature, 1 or more, at which probabilities (n, k) are likeliest to give the true classes (Guo et al.,
    "On calibration of modern neural networks", 2017)."""
    rows = np.arange(len(truth))
    losses = [-np.log(np.maximum(_softened(said, t)[rows, truth], _TINY)).mean() for t in _TEMPERATURES]
    return float(_TEMPERATURES[int(np.argmin(losses))])


def _softened(said: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Probabilities (n, k) at a temperature."""
    powers = np.maximum(said, _TINY) ** (1.0 / temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _fitted(values: NDArray[np.float64], truth: NDArray[np.str_]) -> Any:
    """Trees grown on features (n, p), of which some may have no value in any row: scikit-learn cannot bin these."""
    empty = ~np.isfinite(values).any(axis=0)
    return _trees().fit(np.where(empty, 0.0, values), truth)


def _need_scikit_learn() -> None:
    """ConfigError where scikit-learn, of the extra classify, is not installed."""
    try:
        import sklearn  # noqa: F401, PLC0415
    except ImportError as error:
        raise ConfigError(
            "classes are taught by scikit-learn, which is not installed; say: pip install 'hcs-plates[classify]'"
        ) from error


def _trees() -> Any:
    """Trees as they are grown: the same examples give the same trees."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415

    return HistGradientBoostingClassifier(
        max_iter=100, learning_rate=0.1, min_samples_leaf=5, max_leaf_nodes=8, early_stopping=False, random_state=0
    )


def classify(taught: Taught, nuclei: pd.DataFrame) -> pd.DataFrame:
    """Class and score of each of the ``nuclei`` (n), in order."""
    if not len(nuclei):
        return pd.DataFrame({CLASS: pd.Series(dtype="str"), SCORE: pd.Series(dtype="float64")})
    raw = taught.model.predict_proba(nuclei[list(taught.features)].to_numpy(dtype=np.float64))
    said = _softened(raw, taught.temperature)
    best = said.argmax(axis=1)
    names = np.array(taught.classes, dtype=object)[best]
    return pd.DataFrame({CLASS: pd.Series(names, dtype="str"), SCORE: said.max(axis=1)})


def fraction_names(classes: Iterable[str]) -> dict[str, str]:
    """Class → the well table's column of its fraction; ConfigError for two that become the same."""
    names: dict[str, str] = {}
    for name in classes:
        column = "Fraction_Class_" + "".join(letter for letter in name if letter.isalnum())
        if column in names.values() or column == "Fraction_Class_":
            raise ConfigError(f"class {name!r} gives no column name of its own; name classes by different letters")
        names[name] = column
    return names


def well_fractions(found: pd.DataFrame, wells: list[str], names: Mapping[str, str]) -> pd.DataFrame:
    """Metadata_Well, Count_Class_Nuclei and the fraction of each class in every well; NaN in one without nuclei."""
    found = found[found[CLASS].isin(list(names))]  # without nuclei whose class nobody knows
    counts = pd.crosstab(found["Metadata_Well"], found[CLASS]).reindex(index=wells, columns=list(names), fill_value=0)
    total = counts.sum(axis=1).to_numpy(dtype=np.float64)
    table = pd.DataFrame({"Metadata_Well": wells, "Count_Class_Nuclei": total.astype(np.int64)})
    for name, column in names.items():
        share = np.full(len(wells), np.nan)
        np.divide(counts[name].to_numpy(dtype=np.float64), total, out=share, where=total > 0)
        table[column] = share
    return table


def frame_fractions(found: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Metadata_Well, Metadata_Timepoint, and the columns of `well_fractions` in every frame that has nuclei."""
    parts = [
        well_fractions(frame, sorted(frame["Metadata_Well"].unique()), names).assign(Metadata_Timepoint=number)
        for number, frame in found.groupby("Metadata_Timepoint", sort=True)
    ]
    none = well_fractions(found, [], names).assign(Metadata_Timepoint=pd.Series(dtype="int64"))
    return pd.concat(parts, ignore_index=True) if parts else none


def fraction_columns(names: Mapping[str, str], source: str) -> tuple[Column, ...]:
    """The columns above; ``source`` is what told the classes."""
    count = Column(
        "Count_Class_Nuclei",
        "int64",
        "",
        "nuclei that have a class, without those at the field's border",
        source,
    )
    return (
        count,
        *(
            Column(column, "float64", "", f"share of Count_Class_Nuclei that is of class {name}", source)
            for name, column in names.items()
        ),
    )
