"""What goes with a network's weights: how its input is made, at which scale, and how its output is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hcs.errors import ConfigError
from hcs.segment.ours.instances import Planes, confidence, instances, three_of
from hcs.segment.preprocess import Preprocess
from hcs.segment.settings import InstanceSettings

Postprocess = Literal["cores", "interiors", "watershed"]
_CLASSES = {"cores": 3, "interiors": 3, "watershed": 2}
_MOST_KINDS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything about a model beside its network."""

    diameter_px: float | None = None
    """Size at which the network wants nuclei; None: images are taken as they are."""
    preprocess: Preprocess = field(default_factory=Preprocess)
    """From intensities to the network's input."""
    postprocess: Postprocess = "cores"
    """cores: interiors grown through the foreground, `hcs.segment.ours.instances`; interiors: grown by ``grow_px``;
    watershed: of two classes, by distance; both in `hcs.segment.baselines.published`."""
    grow_px: int = 0
    """How far ``interiors`` grow."""
    kinds: tuple[str, ...] = ()
    """Kinds of nuclei, of networks with an interior class for each, between background and boundary; empty: one for
    all."""

    def __post_init__(self) -> None:
        if self.postprocess not in _CLASSES:
            raise ConfigError(f"postprocess = {self.postprocess!r}: one of {', '.join(_CLASSES)} is needed")
        if self.kinds:
            check_kinds(self.kinds, "model card: kinds")
            if self.postprocess != "cores":
                raise ConfigError(f"model card: kinds of nuclei need postprocess 'cores', not {self.postprocess!r}")

    @property
    def classes(self) -> int:
        """Classes that the network must give."""
        return 2 + len(self.kinds) if self.kinds else _CLASSES[self.postprocess]

    @property
    def on_device(self) -> bool:
        """Whether `hcs.segment.device.field` can make the input and read the output."""
        return self.preprocess.blockwise and not self.preprocess.median_px and self.postprocess == "cores"

    def labels(self, probabilities: NDArray[np.float32], settings: InstanceSettings) -> NDArray[np.uint32]:
        """Probabilities (classes, Y, X) at full resolution → labels (Y, X) uint32, 0 = background, 1..n in raster
        order."""
        if self.postprocess == "cores":
            return instances(self._three(probabilities), settings)
        # scikit-image's watershed takes half a second to import, which our own models need not spend.
        from hcs.segment.baselines.published import dilated_interiors, watershed_instances  # noqa: PLC0415

        if self.postprocess == "watershed":
            return watershed_instances(probabilities, settings)
        return dilated_interiors(probabilities, settings, grow_px=self.grow_px)

    def confidence(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities (classes, Y, X) → (Y, X) float32: that of the likeliest nucleus class."""
        if self.kinds:
            return confidence(self._three(probabilities))
        likeliest: NDArray[np.float32] = probabilities[1:].max(axis=0)
        return likeliest

    def kind_planes(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Probabilities (classes, Y, X) → those of each kind's interior (k, Y, X); None without kinds."""
        return probabilities[1:-1] if self.kinds else None

    def _three(self, probabilities: NDArray[np.float32]) -> Planes:
        """Background, interior of any kind, and boundary."""
        return three_of(probabilities) if self.kinds else probabilities

    def card(self) -> dict[str, Any]:
        """The recipe as keys of a model card."""
        preprocess = {
            "normalise": self.preprocess.normalise,
            "histogram": list(self.preprocess.histogram),
            "median_px": self.preprocess.median_px,
        }
        return {
            "diameter_px": self.diameter_px,
            "preprocess": preprocess,
            "postprocess": self.postprocess,
            "grow_px": self.grow_px,
            **({"kinds": list(self.kinds)} if self.kinds else {}),
        }


def read_recipe(card: Mapping[str, Any]) -> Recipe:
    """The recipe in a model card; of cards without these keys, that of three classes of images as they are.

    ConfigError where it asks for what this version does not know, or for other classes than the network has.
    """
    given = card.get("preprocess", {})
    recipe = Recipe(
        diameter_px=card.get("diameter_px"),
        preprocess=Preprocess(
            normalise=given.get("normalise", "asinh"),
            histogram=tuple(given.get("histogram", ())),
            median_px=int(given.get("median_px", 0)),
        ),
        postprocess=card.get("postprocess", "cores"),
        grow_px=int(card.get("grow_px", 0)),
        kinds=tuple(map(str, card.get("kinds", ()))),
    )
    classes = int(card["network"]["classes"])
    if classes != recipe.classes:
        of_kinds = f" of {len(recipe.kinds)} kinds of nuclei" if recipe.kinds else ""
        raise ConfigError(f"model card: postprocess {recipe.postprocess!r}{of_kinds} does not read {classes} classes")
    return recipe


def check_kinds(kinds: Sequence[str], what: str) -> None:
    """ConfigError unless ``kinds`` are two names or more that differ by letters and digits, as columns need."""
    letters = ["".join(letter for letter in name if letter.isalnum()) for name in kinds]
    if len(kinds) < 2 or len(kinds) > _MOST_KINDS:
        raise ConfigError(f"{what} = {', '.join(kinds)}: 2 to {_MOST_KINDS} kinds are needed; leave it out for one")
    if "" in letters or len(set(letters)) < len(letters):
        raise ConfigError(f"{what} = {', '.join(kinds)}: names must differ by letters or digits; rename one")
