"""Every piece of code of the cookbook, run on the results of a small simulated plate, and what it answers."""

from __future__ import annotations

import ast
import re
import shlex
import warnings
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import hcs
from hcs.cli import commands

COOKBOOK = Path(__file__).resolve().parents[2] / "docs" / "cookbook.md"
FENCE = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def sections() -> dict[str, list[tuple[str, str]]]:
    """Title → (language, code) of every block."""
    parts = re.split(r"^#+ (.*)$", COOKBOOK.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {title: FENCE.findall(text) for title, text in zip(parts[::2], parts[1::2], strict=True)}


def last_value(code: str, names: dict[str, Any]) -> Any:
    """Run code as a notebook's cell: the value of its last line, None where that is no expression."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cookbook", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cookbook", "eval"), names) if isinstance(last, ast.Expr) else None


@pytest.fixture(scope="module")
def answers(screen: Path) -> dict[str, list[Any]]:
    """Number of the question → values of its blocks, run one after another as a reader would."""
    pytest.importorskip("duckdb", reason="needs duckdb (the extra dev)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sets an option of pandas that does nothing any more
        pytest.importorskip("pycytominer", reason="needs pycytominer (the extra dev)")
    found: dict[str, list[Any]] = {}
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(screen)
        mpl.use("agg")
        for title, blocks in sections().items():
            values = [last_value(code, names) for language, code in blocks if language == "python"]
            found[title.partition(".")[0]] = values
    return found | {"names": [names]}


def test_there_are_ten_questions_each_with_an_answer() -> None:
    asked = [title for title in sections() if re.match(r"\d+\. .*\?$", title)]
    assert [title.partition(".")[0] for title in asked] == [str(n) for n in range(1, 11)]
    assert all(sections()[title] for title in asked)


def test_the_best_readout_is_the_best_of_the_assay_table(answers: dict[str, list[Any]], screen: Path) -> None:
    best = answers["1"][0]
    assay = pd.read_parquet(screen / "results" / "assay.parquet")
    assert best["ZPrime"].iloc[0] == assay["ZPrime"].max()
    assert best["ZPrime"].is_monotonic_decreasing
    assert (best[["Count_Positive", "Count_Negative"]] == 4).all(axis=None)


def test_causes_are_sorted_by_what_they_cost(answers: dict[str, list[Any]]) -> None:
    causes = answers["2"][0]
    np.testing.assert_allclose(causes["ZPrime_Without"] - causes["ZPrime"], sorted(_deltas(causes), reverse=True))


def _deltas(causes: pd.DataFrame) -> list[float]:
    return list(causes["ZPrime_Without"] - causes["ZPrime"])


def test_wells_to_distrust_are_all_that_are_not_ok_or_flagged(answers: dict[str, list[Any]], screen: Path) -> None:
    fields = pd.read_parquet(screen / "results" / "fields.parquet")
    odd = fields.loc[(fields["Status"] != "ok") | (fields["Flags"] != ""), "Metadata_Well"]
    assert 2 <= len(odd) < 48
    assert set(answers["3"][0]["Metadata_Well"]) == set(odd)


def test_the_active_compound_is_a_hit_and_the_inactive_one_is_none(answers: dict[str, list[Any]]) -> None:
    hits = answers["4"][0]
    ratio = hits[hits["Readout"] == "Mean_Nuclei_Sensor_Ratio"].set_index("Compound")
    assert ratio.loc["cdk2-inhibitor", "LowestDose"] < 4
    assert "inactive" not in ratio.index


def test_the_curve_of_the_active_compound_falls_and_the_inactive_one_has_none(answers: dict[str, list[Any]]) -> None:
    curves = answers["5"][0].set_index("Compound")
    active = curves.loc["cdk2-inhibitor"]
    assert active["EC50_Low"] < active["EC50"] < active["EC50_High"]
    assert active["Direction"] == "falling"
    assert np.isnan(curves.loc["inactive", "EC50"])
    assert curves.loc["inactive", "Reason"]


def test_the_cell_cycle_by_dose_histogram_and_phase(answers: dict[str, list[Any]]) -> None:
    by_dose, histogram, by_phase = answers["6"]
    vehicle = by_dose.loc[("DMSO", 0.0)]
    assert vehicle["Wells"] == 4
    assert 0.8 < vehicle[["Fraction_G1", "Fraction_S", "Fraction_G2M"]].sum() <= 1.0001
    assert by_dose.loc[("g2m-arrester", 10.0), "Fraction_G2M"] > vehicle["Fraction_G2M"] + 0.2
    assert by_dose.loc[("cdk2-inhibitor", 10.0), "Fraction_G1"] > vehicle["Fraction_G1"] + 0.1
    heights = np.array([bar.get_height() for bar in histogram.patches])
    assert abs(np.argmax(heights) / 10 + 0.05 - 2) < 0.25  # bins of 0.1 N; most negatives are in G1
    assert by_phase.loc["G1", "mean"] < by_phase.loc["G2M", "mean"]


def test_the_plate_as_it_lies_on_the_bench(answers: dict[str, list[Any]], screen: Path) -> None:
    plate, edge = answers["7"]
    assert plate.shape == (6, 8)
    assert plate.sum().sum() == hcs.open_results(screen / "results").ledger()["Count_Nuclei"].sum()
    assert edge["count"].sum() == 4


def test_a_readout_of_ones_own_separates_the_controls(answers: dict[str, list[Any]]) -> None:
    by_role = answers["8"][0]
    assert by_role.loc["positive", "mean"] > by_role.loc["negative", "mean"] + 0.2
    assert by_role.loc["negative", "count"] == 4
    assert answers["names"][0]["z_prime"] < 1


def test_cells_are_shown_with_mask_and_scale(answers: dict[str, list[Any]]) -> None:
    names = answers["names"][0]
    assert names["squares"].shape == (12, 48, 48)
    crop = names["crop"]
    assert crop.channels == ("DNA", "CDK2")
    np.testing.assert_array_equal(crop.image("CDK2"), names["squares"][0])
    assert names["side_um"] == pytest.approx(48 * 0.65)
    assert answers["9"][1] > crop.image("DNA")[~crop.mask].mean()


def test_sql_and_profiles_count_the_same_nuclei(answers: dict[str, list[Any]], screen: Path) -> None:
    by_sql, profiles = answers["10"]
    counts = (
        hcs.open_results(screen / "results")
        .wells()
        .query("Count_Nuclei > 0")
        .set_index("Metadata_Well")["Count_Nuclei"]
    )
    assert dict(zip(by_sql["Metadata_Well"], by_sql["n"], strict=True)) == counts.to_dict()
    assert dict(zip(profiles["Metadata_Well"], profiles["Metadata_Object_Count"], strict=True)) == counts.to_dict()
    features = [name for name in profiles if not name.startswith("Metadata_")]
    assert 5 < len(features) < 45
    negative = profiles.loc[profiles["Metadata_role"] == "negative", features]
    np.testing.assert_allclose(negative.mean(), 0, atol=1e-6)
    np.testing.assert_allclose(negative.std(ddof=0), 1, atol=1e-6)


def test_the_commands_write_the_files_they_name(screen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("anndata", reason="needs anndata (the extras dev and export)")
    (tmp_path / "results").symlink_to(screen / "results")
    monkeypatch.chdir(tmp_path)
    lines = [code for blocks in sections().values() for language, code in blocks if language == "bash"]
    for line in "".join(lines).splitlines():
        program, *arguments = shlex.split(line)
        assert program == "hcs"
        assert commands.main(arguments, standalone_mode=False) == 0
        assert (tmp_path / arguments[3]).stat().st_size > 0
