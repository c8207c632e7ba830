"""Plates on which nothing acts have no hits, whatever their place, spread and tails do; planted hits are found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.screen_plates import READOUT
from null_plates import called, screen_plate

from hcs.readout.screen.chance import false_discovery
from hcs.readout.screen.checks import sample_notes
from hcs.readout.screen.hits import find_hits
from hcs.readout.screen.null import LEAST, learn_null
from hcs.readout.screen.scores import score_wells
from hcs.readout.settings import HitSettings, ReadoutSettings

SETTINGS = ReadoutSettings(readouts=(READOUT,))
PLATES = 20


def hits_of(settings: ReadoutSettings = SETTINGS, **plate: Any) -> set[str]:
    """Compounds called as hits, by single wells or by conditions."""
    scores = score_wells(screen_plate(**plate), settings)
    hits = set(scores.loc[scores["Hit"], "Metadata_Compound"])
    if plate.get("replicates", 1) == 1:
        return hits  # a condition is a well, and decided on alike
    table = find_hits(scores, settings)
    return {*hits, *table.loc[table["Hit"], "Compound"]}


@pytest.mark.parametrize(
    "plate",
    [
        {"position": "gradient"},
        {"position": "corner", "wider": 1.5, "noise": "t3"},
        {"position": "edge"},
        {"position": "columns", "wider": 1.5},
        {"position": "rows", "size": 96},
        {"position": "gradient", "replicates": 2},
        {"noise": "t3", "replicates": 2},
        {"noise": "t3"},
        {"wider": 1.5, "size": 96},
    ],
)
def test_null_plates_have_no_hits(plate: dict[str, Any]) -> None:
    false = [len(called(seed, **plate)) for seed in range(PLATES)]
    assert sum(n > 0 for n in false) <= 3, false  # 5 % aimed at, more than 3 of 20 by chance 1.6 %


@pytest.mark.parametrize("plate", [{"position": "gradient"}, {"noise": "t3", "replicates": 3, "effect": 5.0}])
def test_plates_without_tables_are_decided_on_as_the_tables_are(plate: dict[str, Any]) -> None:
    for seed in range(2):
        table = find_hits(score_wells(screen_plate(seed, size=96, hits=4, **plate), SETTINGS), SETTINGS)
        hits = set(table.loc[table["Hit"], "Compound"])
        assert hits == {f"c{n:03d}" for n in called(seed, size=96, hits=4, **plate)}


def test_beside_a_gradient_the_negatives_alone_make_dozens_of_hits() -> None:
    old = ReadoutSettings(readouts=(READOUT,), hits=HitSettings(reference="negatives", correction="none"))
    assert np.mean([len(hits_of(old, seed=seed, position="gradient")) for seed in range(3)]) > 5


@pytest.mark.parametrize("n", [80, 320])
def test_tails_of_student_make_no_hits(n: int) -> None:
    rng = np.random.default_rng(0)
    plates = rng.standard_t(3, (60, n))
    false = 0
    for values in plates:
        null = learn_null(values)
        assert null is not None
        false += bool((false_discovery(null.p_values(values)) <= 0.05).any())
    assert false <= 7  # 5 % of 60 are 3


@pytest.mark.parametrize(
    ("plate", "least"),
    [
        ({"effect": 8.0, "hits": 6}, 0.75),
        ({"effect": 8.0, "hits": 6, "position": "gradient", "wider": 1.5}, 0.6),
        ({"effect": 8.0, "hits": 6, "position": "edge", "replicates": 2}, 0.8),
        ({"effect": 12.0, "hits": 50}, 0.7),
    ],
)
def test_planted_hits_are_not_lost(plate: dict[str, Any], least: float) -> None:
    planted = {f"c{n:03d}" for n in range(plate["hits"])}
    found = [hits_of(seed=seed, **plate) for seed in range(3)]
    assert np.mean([len(each & planted) / len(planted) for each in found]) >= least
    assert np.mean([len(each - planted) / max(len(each), 1) for each in found]) <= 0.07


def test_few_values_teach_nothing_and_p_values_follow_the_data() -> None:
    rng = np.random.default_rng(1)
    assert learn_null(rng.standard_normal(LEAST - 1)) is None
    assert learn_null(np.ones(50)) is None
    values = 5 + 2 * rng.standard_normal(400)
    null = learn_null(values)
    assert null is not None
    p = null.p_values(np.array([*values, np.nan]))
    assert np.isnan(p[-1])
    assert (p[:-1] < 0.1).mean() == pytest.approx(0.1, abs=0.04)
    scaled = learn_null(7 - 3 * values)
    assert scaled is not None
    np.testing.assert_allclose(scaled.p_values(7 - 3 * values), p[:-1], rtol=1e-6)


def test_notes_say_where_samples_are_not_like_the_negatives() -> None:
    plain = score_wells(screen_plate(0), SETTINGS)
    assert sample_notes(plain) == ()
    wide = sample_notes(score_wells(screen_plate(0, wider=2.5), SETTINGS))
    assert any("times as much as the negatives" in note for note in wide)
    placed = sample_notes(score_wells(screen_plate(0, position="gradient"), SETTINGS))
    assert "samples depend on their columns (p = " in placed[0]
    assert "the negatives do not show it; it is taken out (both)" in placed[0]
    asked = ReadoutSettings(readouts=(READOUT,), hits=HitSettings(correction="none"))
    left = sample_notes(score_wells(screen_plate(0, position="gradient"), asked))
    assert left[0].endswith("it is not taken out; hits may be owed to their place.")


def test_replicates_find_what_single_wells_cannot() -> None:
    found = [called(seed, replicates=3, hits=6, effect=4.0) for seed in range(PLATES)]
    assert np.mean([len(each & set(range(6))) / 6 for each in found]) >= 0.65
    assert sum(len(each - set(range(6))) > 0 for each in found) <= 1
