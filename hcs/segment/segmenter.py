"""A model ready to run: one network or several averaged, with or without flips, at the scale it was trained at.

torch is imported where a network is built or run: who only hands a segmenter's settings on, such as the process that
plans a run, does not wait for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from hcs.clock import Stopwatch
from hcs.errors import ConfigError
from hcs.segment.despeckle import despeckled
from hcs.segment.normalise import Normalisation, normalisation_of, with_background
from hcs.segment.recipe import Recipe, read_recipe
from hcs.segment.scale import MIRRORS, enlarged, restored
from hcs.segment.settings import InstanceSettings
from hcs.tiles.settings import TileSettings

if TYPE_CHECKING:
    from hcs.segment.device.field import OnDevice
    from hcs.segment.network import Network
    from hcs.segment.pace import Pace


@dataclass(frozen=True, slots=True, eq=False)
class Certainty:
    """What networks say of every pixel of a field beside its labels."""

    confidence: NDArray[np.float32]
    """(Y, X) probability of the likelier of interior and boundary."""
    kinds: NDArray[np.float32] | None = None
    """(k, Y, X) probability of the interior of each kind of nuclei, of networks that tell kinds."""


def _usual_pace() -> Pace:
    from hcs.segment.pace import Pace  # noqa: PLC0415

    return Pace()


@dataclass(frozen=True, slots=True)
class Segmenter:
    """What turns a field into class probabilities, and these into nuclei."""

    networks: tuple[Network, ...]
    """Folded, in evaluation mode, on one device; their probabilities are averaged."""
    recipe: Recipe
    """How the networks' input is made and their output read."""
    flips: bool = False
    """Average over the four mirror images of the field: four times the work."""
    pace: Pace = field(default_factory=_usual_pace)
    """How many tiles the networks see at a time, and what was learnt of it."""
    on_device: bool = False
    """Whether a field stays on the networks' device from its recorded pixels to its labels, as on a GPU."""

    @property
    def diameter_px(self) -> float | None:
        """Size at which the networks want nuclei; None: images are taken as they are."""
        return self.recipe.diameter_px

    def prepare(self, image: NDArray[Any], fill: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        """Field (Y, X) of any real dtype → the networks' input at full resolution; ``fill`` (Y, X), which was not
        recorded, is shown as background."""
        return self.recipe.preprocess(image, fill)

    def probabilities(
        self,
        image: NDArray[np.float32],
        tiles: TileSettings,
        scale: Fraction = Fraction(1),
        clock: Stopwatch | None = None,
    ) -> NDArray[np.float32]:
        """Prepared field (Y, X) → probabilities (classes, Y, X) at full resolution.

        The networks see the field at ``scale``, see `hcs.segment.scale`; ``clock`` books ``infer`` and ``stitch``.
        """
        field = enlarged(image, scale)
        if self.recipe.preprocess.despeckles:
            field = despeckled(field)
        views = list(self._views(field, tiles, clock))
        mean = views[0] if len(views) == 1 else np.asarray(np.mean(views, axis=0), dtype=np.float32)
        return restored(mean, scale, (image.shape[0], image.shape[1]))

    def nuclei(
        self,
        image: NDArray[Any],
        tiles: TileSettings,
        settings: InstanceSettings,
        *,
        scale: Fraction = Fraction(1),
        clock: Stopwatch | None = None,
        fill: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[np.uint32], Certainty]:
        """Field (Y, X) of any real dtype → labels (Y, X) uint32, and what the networks say of every pixel.

        ``fill`` (Y, X), which was not recorded, is shown to the networks as background.

        What ``clock`` books: normalise, infer, stitch, instances; on a device upload and download in the place of
        stitch.
        """
        clock = clock or Stopwatch()
        if self._stays_on_device:
            known = normalisation_of(image, fill)
            if fill is not None:
                image = with_background(image, fill, known)
            clock.lap("normalise")
            return self._down(image, known, self._device(tiles, scale), settings, clock)
        prepared = self.prepare(image, fill)
        clock.lap("normalise", prepared.nbytes)
        return self._read(self.probabilities(prepared, tiles, scale, clock), settings, clock)

    def nuclei_in_block(
        self,
        image: NDArray[Any],
        known: Normalisation,
        part: tuple[slice, slice],
        tiles: TileSettings,
        settings: InstanceSettings,
        *,
        scale: Fraction = Fraction(1),
        clock: Stopwatch | None = None,
    ) -> tuple[NDArray[np.uint32], Certainty]:
        """As `nuclei`, of a ``part`` of a block (Y, X) of a field whose normalisation is known."""
        clock = clock or Stopwatch()
        if self._stays_on_device:
            return self._down(image, known, self._device(tiles, scale), settings, clock, part=part)
        prepared = self.recipe.preprocess.in_block(image, known)
        del image
        clock.lap("normalise", prepared.nbytes)
        seen = self.probabilities(prepared, tiles, scale, clock)
        del prepared
        probabilities = np.ascontiguousarray(seen[(slice(None), *part)])
        del seen
        return self._read(probabilities, settings, clock)

    def labels_of(
        self,
        prepared: NDArray[np.float32],
        tiles: TileSettings,
        settings: InstanceSettings,
        scale: Fraction = Fraction(1),
    ) -> NDArray[np.uint32]:
        """Prepared field (Y, X) → labels (Y, X) uint32."""
        if not self._stays_on_device:
            return self.labels(self.probabilities(prepared, tiles, scale), settings)
        from hcs.segment.device.field import labels_of_prepared  # noqa: PLC0415

        return labels_of_prepared(prepared, self._device(tiles, scale), settings).cpu().numpy().view(np.uint32)

    @property
    def _stays_on_device(self) -> bool:
        return self.on_device and self.recipe.on_device

    def _device(self, tiles: TileSettings, scale: Fraction) -> OnDevice:
        from hcs.segment.device.field import OnDevice  # noqa: PLC0415

        recipe = self.recipe
        return OnDevice(
            self.networks, self.pace, tiles, scale, self.flips, recipe.preprocess.despeckles, kinds=bool(recipe.kinds)
        )

    def _down(
        self,
        image: NDArray[Any],
        known: Normalisation,
        seen_by: OnDevice,
        settings: InstanceSettings,
        clock: Stopwatch,
        *,
        part: tuple[slice, slice] | None = None,
    ) -> tuple[NDArray[np.uint32], Certainty]:
        """What the device made of recorded pixels."""
        from hcs.segment.device.field import segment_on_device  # noqa: PLC0415

        labels, confidence, kinds = segment_on_device(image, known, seen_by, settings, clock, part=part)
        down = labels.cpu().numpy().view(np.uint32), confidence.cpu().numpy()
        of_kinds = None if kinds is None else kinds.cpu().numpy()
        clock.lap("download", down[0].nbytes + down[1].nbytes + (0 if of_kinds is None else of_kinds.nbytes))
        return down[0], Certainty(down[1], of_kinds)

    def _read(
        self, probabilities: NDArray[np.float32], settings: InstanceSettings, clock: Stopwatch
    ) -> tuple[NDArray[np.uint32], Certainty]:
        """Labels of probabilities (classes, Y, X) on the host, and what these say."""
        clock.lap("stitch", probabilities.nbytes)
        labels = self.labels(probabilities, settings)
        clock.lap("instances", labels.nbytes)
        return labels, Certainty(self.recipe.confidence(probabilities), self.recipe.kind_planes(probabilities))

    def labels(self, probabilities: NDArray[np.float32], settings: InstanceSettings) -> NDArray[np.uint32]:
        """Probabilities (classes, Y, X) → labels (Y, X) uint32, 0 = background, 1..n in raster order."""
        return self.recipe.labels(probabilities, settings)

    def _views(
        self, field: NDArray[np.float32], tiles: TileSettings, clock: Stopwatch | None
    ) -> Iterator[NDArray[np.float32]]:
        """Probabilities of ``field`` by every network and mirror image."""
        from hcs.segment.predict import predict  # noqa: PLC0415

        for network in self.networks:
            for axes in MIRRORS if self.flips else MIRRORS[:1]:
                seen = np.ascontiguousarray(np.flip(field, axes))
                yield np.flip(predict(network, seen, tiles, clock, self.pace), tuple(a + 1 for a in axes))


def build_segmenter(
    models: Sequence[tuple[Mapping[str, Any], Mapping[str, NDArray[np.float32]]]],
    *,
    device: str,
    flips: bool = False,
    arithmetic: Literal["float16", "float32", "int8"] = "float32",
) -> Segmenter:
    """A segmenter of the networks that (card, weights) describe, on ``device``, cpu or cuda, calculating in
    ``arithmetic``: int8 on cpu alone, float16 on cuda alone.

    ConfigError where the device is not there, or the networks want other input or give other output than each other, or
    cannot calculate so.
    """
    import torch  # noqa: PLC0415

    from hcs.segment.networks import build_integers, build_network  # noqa: PLC0415
    from hcs.segment.pace import Pace  # noqa: PLC0415
    from hcs.segment.predict import find_device  # noqa: PLC0415

    recipes = [read_recipe(card) for card, _ in models]
    if any(recipe != recipes[0] for recipe in recipes):
        names = ", ".join(str(card.get("name")) for card, _ in models)
        raise ConfigError(
            f"models {names} cannot be averaged: they differ in size of nuclei, input, output or kinds of nuclei; take "
            "models that do not"
        )
    place = find_device(device)
    if place.type == "cuda":
        from hcs.segment.device.instances import check_kernels  # noqa: PLC0415

        check_kernels()
    # A GPU multiplies half-precision numbers as exactly as it does float32 by default (TF32), in half the memory.
    pace = Pace(device=place, dtype=torch.float16 if arithmetic == "float16" else torch.float32)
    build = build_integers if arithmetic == "int8" else build_network
    networks = tuple(build(card, weights, place) for card, weights in models)
    return Segmenter(networks, recipes[0], flips, pace, on_device=place.type == "cuda")
