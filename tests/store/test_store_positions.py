"""Positions of fields on the stage, in the ways that NGFF can say them."""

from __future__ import annotations

import pytest

from hcs.store.plate.metadata import Multiscale

AXES = [{"name": "c", "type": "channel"}, *({"name": n, "type": "space", "unit": "micrometer"} for n in "yx")]


def multiscale(dataset: list[dict[str, object]], whole: list[dict[str, object]], axes: object = AXES) -> Multiscale:
    return Multiscale.model_validate(
        {
            "axes": axes,
            "datasets": [{"path": "0", "coordinateTransformations": dataset}],
            "coordinateTransformations": whole,
        }
    )


def scale(*values: float) -> dict[str, object]:
    return {"type": "scale", "scale": values}


def translation(*values: float) -> dict[str, object]:
    return {"type": "translation", "translation": values}


def test_the_translation_after_the_scale_is_the_position() -> None:
    assert multiscale([scale(1, 0.5, 0.5), translation(0, 30, -12.5)], []).origin_um() == (30.0, -12.5)


def test_a_scale_of_the_whole_image_moves_what_came_before_it() -> None:
    both = multiscale([scale(1, 1, 1), translation(0, 100, 200)], [scale(1, 0.5, 0.5), translation(0, 7, 0)])
    assert both.origin_um() == (57.0, 100.0)


def test_other_units_are_brought_to_micrometres() -> None:
    axes = [{"name": n, "type": "space", "unit": "millimeter"} for n in "yx"]
    assert multiscale([scale(1, 1), translation(1.5, 2)], [], axes).origin_um() == (1500.0, 2000.0)


@pytest.mark.parametrize(
    ("dataset", "axes"),
    [
        ([scale(1, 0.5, 0.5)], AXES),
        ([scale(1, 1), translation(1, 2)], [{"name": "y"}, {"name": "x"}]),
        ([scale(1, 1, 1), translation(1, 2)], AXES),
    ],
    ids=["no translation", "no unit", "too short"],
)
def test_without_a_position_or_its_unit_there_is_none(dataset: list[dict[str, object]], axes: object) -> None:
    assert multiscale(dataset, [], axes).origin_um() is None
