"""All tables of an evaluation, from the comparisons of single images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from hcs.evaluate.compare import Comparison
from hcs.evaluate.groups import SIZES, classes, distribution_table, error_table, size_bounds, strata_table, value_bounds
from hcs.evaluate.intervals import score_tables, scores_by_image
from hcs.evaluate.scores import scores
from hcs.evaluate.settings import EvaluateSettings


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Tables of one or more predictions of the same images; columns are defined in ``hcs.evaluate.columns``."""

    predictions: tuple[str, ...]
    images: tuple[str, ...]
    settings: EvaluateSettings
    value: str | None
    """Column of the nucleus table by which scores are stratified, if any."""
    size_bounds: tuple[float, ...]
    """Areas, px, between tiny, small, normal and large."""
    value_bounds: tuple[float, ...] | None
    """Values between low, medium and high."""
    scores: pd.DataFrame
    differences: pd.DataFrame
    per_image: pd.DataFrame
    errors: pd.DataFrame
    strata: pd.DataFrame
    distributions: pd.DataFrame
    objects: pd.DataFrame

    def tables(self) -> dict[str, pd.DataFrame]:
        """Name of each table → the table, as they are written."""
        return {
            "scores": self.scores,
            "differences": self.differences,
            "images": self.per_image,
            "errors": self.errors,
            **({} if self.value is None else {"strata": self.strata}),
            "distributions": self.distributions,
            "nuclei": self.objects,
        }


def evaluate(
    compared: Mapping[str, Mapping[str, Comparison]], settings: EvaluateSettings, *, value: str | None = None
) -> Evaluation:
    """Tables from comparisons by prediction and by image; every prediction needs the same images in the same order.

    ``value`` is the column that the comparisons measured, if any. Raises ValueError where images differ or are none.
    """
    images = tuple(next(iter(compared.values()), {}))
    if not images or any(tuple(own) != images for own in compared.values()):
        raise ValueError("predictions of the same images, at least one, are needed")
    counts = {
        name: pd.DataFrame([c.counts for c in own.values()], index=list(images)) for name, own in compared.items()
    }
    of = {name: scores(frame, settings) for name, frame in counts.items()}
    objects = _objects(compared)
    areas = size_bounds(objects, settings)
    objects.insert(list(objects.columns).index("Area") + 1, "SizeClass", classes(objects["Area"], areas, SIZES))
    levels = value_bounds(objects, settings) if value else None
    score, difference = score_tables(of, settings)
    features = {"Nuclei_AreaShape_Area": "Area"} | ({value: "Value"} if value else {})
    names = tuple(compared)
    return Evaluation(
        predictions=names,
        images=images,
        settings=settings,
        value=value,
        size_bounds=areas,
        value_bounds=levels,
        scores=score,
        differences=difference,
        per_image=scores_by_image(of, counts),
        errors=error_table(objects, names, settings),
        strata=strata_table(objects, names if levels else (), levels or ()),
        distributions=distribution_table(objects, names, features),
        objects=objects,
    )


def _objects(compared: Mapping[str, Mapping[str, Comparison]]) -> pd.DataFrame:
    frames = []
    for name, own in compared.items():
        for image, comparison in own.items():
            frame = comparison.objects.copy()
            frame.insert(0, "Prediction", name)
            frame.insert(1, "Image", image)
            frames.append(frame)
    return pd.concat(frames, ignore_index=True)
