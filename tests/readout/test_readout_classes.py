"""Classes taught by examples: right on other wells, refused where they could not be, fractions by well."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest

from hcs.errors import ConfigError
from hcs.readout.wells.classes import (
    CLASS,
    KEYS,
    SCORE,
    classify,
    features_of,
    fraction_names,
    read_examples,
    teach,
    well_fractions,
)

WELLS = ("A01", "A02", "B01", "B02")


def table(n: int = 60) -> pd.DataFrame:
    """Nuclei of two kinds in four wells: big and dim, small and bright, with some between."""
    rng = np.random.default_rng(3)
    frames = []
    for well in WELLS:
        small = rng.random(n) < 0.5
        frames.append(
            pd.DataFrame(
                {
                    "Metadata_Well": well,
                    "Metadata_Site": 0,
                    "Metadata_ObjectNumber": np.arange(1, n + 1),
                    "Nuclei_AreaShape_Area": np.where(small, 200, 400) + 60 * rng.standard_normal(n),
                    "Nuclei_AreaShape_Center_X": rng.uniform(0, 500, n),
                    "Nuclei_Intensity_MeanIntensity_DNA": np.where(small, 900, 500) + 150 * rng.standard_normal(n),
                    "Nuclei_Flag_TouchesBorder": False,
                    "Nuclei_Confidence": np.nan,  # as where labels were given
                    "true": np.where(small, "mitotic", "interphase"),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def examples_of(nuclei: pd.DataFrame, wells: tuple[str, ...] = WELLS[:2], each: int = 25) -> pd.DataFrame:
    here = nuclei[nuclei["Metadata_Well"].isin(wells)]
    return here.groupby("true").head(each * len(wells))[[*KEYS, "true"]].rename(columns={"true": "class"})


def test_classes_of_wells_without_examples_are_right_and_doubt_is_near_one_half() -> None:
    nuclei = table()
    taught = teach(nuclei.drop(columns="true"), examples_of(nuclei), "e.csv")
    assert set(taught.features) == {
        "Nuclei_AreaShape_Area",
        "Nuclei_Intensity_MeanIntensity_DNA",
        "Nuclei_Confidence",
    }
    found = classify(taught, nuclei)
    other = nuclei["Metadata_Well"].isin(WELLS[2:])
    right = (found[CLASS] == nuclei["true"])[other]
    assert right.mean() > 0.9
    assert abs(taught.accuracy - right.mean()) < 0.1
    assert found[SCORE].between(0.5, 1.0).all()
    assert found[SCORE][other][~right].median() < found[SCORE][other][right].median()
    assert any("right on wells that the trees had not seen" in line for line in taught.lines())
    again = classify(teach(nuclei.drop(columns="true"), examples_of(nuclei), "e.csv"), nuclei)
    pd.testing.assert_frame_equal(found, again)


def test_examples_that_cannot_teach_are_refused() -> None:
    nuclei = table()
    good = examples_of(nuclei)
    for bad, words in (
        (good[good["class"] == "mitotic"], "of 1 class"),
        (good.groupby("class").head(9), "9 examples of"),
        (examples_of(nuclei, WELLS[:1]), "in one well only"),
        (good.assign(Metadata_ObjectNumber=good["Metadata_ObjectNumber"] + 1000), "not in the results, such as A01/0/"),
    ):
        with pytest.raises(ConfigError, match=words):
            teach(nuclei, bad, "e.csv")


def test_without_scikit_learn_a_sentence_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    nuclei = pd.DataFrame({"Metadata_Well": ["A01"]})
    for name in [name for name in sys.modules if name.split(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)  # as where the extra is not installed
    with pytest.raises(ConfigError, match=r"pip install 'hcs-plates\[classify\]'"):
        teach(nuclei, nuclei, "e.csv")


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ({"nucleus": ["A01/0/1"]}, "no column `class`"),
        ({"class": ["a"]}, "neither a column `nucleus`"),
        ({"nucleus": ["A01-1"], "class": ["a"]}, "names no nucleus"),
        ({"nucleus": ["A01/0/1", "A01/0/1"], "class": ["a", "b"]}, "A01/0/1 two classes"),
        ({"nucleus": ["A01/0/1"], "class": [None]}, "without a class"),
    ],
)
def test_examples_that_cannot_be_read_are_refused(frame: dict[str, list[str]], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_examples(pd.DataFrame(frame), "e.csv")


def test_examples_are_read_by_nucleus_or_by_keys() -> None:
    first = read_examples(pd.DataFrame({"Nucleus": [" B03/1/17"], "Class": ["mitotic "]}), "e.csv")
    keys = pd.DataFrame([("B03", 1, 17, "mitotic")], columns=[*KEYS, "class"])
    pd.testing.assert_frame_equal(first, read_examples(keys, "e.csv"), check_dtype=False)
    assert first.iloc[0].tolist() == ["B03", 1, 17, "mitotic"]


def test_fractions_by_well() -> None:
    found = pd.DataFrame({"Metadata_Well": ["A01"] * 4, CLASS: ["a", "a", "a", "b b"]})
    names = fraction_names(["a", "b b"])
    wells = well_fractions(found, ["A01", "A02"], names)
    assert wells["Fraction_Class_a"].tolist()[0] == 0.75
    assert wells["Fraction_Class_bb"].tolist()[0] == 0.25
    assert wells["Count_Class_Nuclei"].tolist() == [4, 0]
    assert wells["Fraction_Class_a"].isna().tolist() == [False, True]
    with pytest.raises(ConfigError, match="column name of its own"):
        fraction_names(["a b", "ab"])


def test_what_says_where_a_nucleus_lies_is_no_feature() -> None:
    names = ["Nuclei_AreaShape_Center_X", "Nuclei_AreaShape_BoundingBoxMinimum_Y", "Nuclei_Flag_Dead", "Metadata_Site"]
    assert features_of([*names, "Cells_AreaShape_Area", "Ring_Intensity_MeanIntensity_A"]) == (
        "Cells_AreaShape_Area",
        "Ring_Intensity_MeanIntensity_A",
    )
