"""Training settings → what they train: the network and the recipe that goes with it."""

from __future__ import annotations

from hcs.segment.baselines.concat import ConcatSpec
from hcs.segment.networks import AnySpec
from hcs.segment.ours.unet import UNetSpec
from hcs.segment.preprocess import Preprocess
from hcs.segment.recipe import Recipe
from hcs.train.settings import TrainSettings


def network_spec(settings: TrainSettings) -> AnySpec:
    """The network that the settings describe."""
    if settings.network == "add":
        return UNetSpec(widths=settings.widths, classes=classes_of(settings))
    return ConcatSpec(
        widths=settings.widths,
        classes=classes_of(settings),
        batch_norm=settings.batch_norm,
        dropout=settings.dropout,
        padding=settings.padding,
        upsampling=settings.upsampling,
    )


def classes_of(settings: TrainSettings) -> int:
    """Classes out: with kinds of nuclei an interior for each."""
    return 2 + len(settings.kinds) if settings.kinds else settings.classes


def recipe_for(settings: TrainSettings, preprocess: Preprocess | None = None) -> Recipe:
    """How a network of these settings is used; ``preprocess`` as `hcs.train.data.preprocess_for` gives it.

    A centred boundary takes its inner half and the outermost pixel from a nucleus, so interiors grow by that much.
    """
    prepare = preprocess or Preprocess(normalise=settings.normalise, median_px=settings.median_px)
    diameter_px = settings.diameter_px or None
    if settings.classes == 2:
        return Recipe(diameter_px=diameter_px, preprocess=prepare, postprocess="watershed")
    if settings.boundary == "centred":
        grow_px = settings.boundary_px // 2 + 1
        return Recipe(diameter_px=diameter_px, preprocess=prepare, postprocess="interiors", grow_px=grow_px)
    return Recipe(diameter_px=diameter_px, preprocess=prepare, kinds=settings.kinds)
