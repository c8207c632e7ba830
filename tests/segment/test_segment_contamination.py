"""Bright dead cells, specks and fibres do not blind the network, nor do bright nuclei hide dim ones: the living nuclei
stay what they were without them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from hcs.commands.segment import segment_image
from hcs.config import Config
from hcs.evaluate.matching import match
from hcs.field.worker import load_segmenter
from hcs.plate.keys import FieldKey, WellId
from hcs.segment.predict import tune_cpu
from hcs.segment.segmenter import Segmenter
from hcs.simulate.field import simulate_field
from hcs.simulate.plate import lay_out_plate
from hcs.simulate.settings import SimulationSettings
from hcs.store.files.images import read_image
from hcs.store.models import find_model

Image = NDArray[np.float32]
Labels = NDArray[np.int32]
SIZES_PX = (15.0, 40.0, 90.0)


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    tune_cpu(threads=1)
    return load_segmenter(find_model("fast"), "cpu", flips=False)


@pytest.fixture(scope="module")
def fields(segmenter: Segmenter) -> dict[float, tuple[Image, Labels]]:
    """By size of nuclei a simulated field, counts, and the nuclei found in it."""
    found = {}
    for size in SIZES_PX:
        settings = SimulationSettings(
            wells=1,
            size_px=int(np.clip(14 * size, 384, 1024)),
            density=0.14 / (np.pi / 4 * size**2) * 1e6,
            crowding=1.0,
            nucleus_diameter_px=size,
            debris=0.0,
            seed=5,
        )
        image = simulate_field(lay_out_plate(settings), FieldKey(WellId(0, 0), 0)).image[0]
        found[size] = image.astype(np.float32), segment_image(image, segmenter, Config()).astype(np.int32)
    return found


def discs(shape: tuple[int, ...], radius: Callable[[np.random.Generator], float], seed: int) -> Image:
    """Round bodies over 2 % of the pixels, (Y, X) from 0 to 1."""
    rng, drawn, left = np.random.default_rng(seed), np.zeros(shape, np.float32), 0.02 * shape[0] * shape[1]
    while left > 0:
        r = radius(rng)
        y, x = rng.uniform(0, shape)
        cv2.circle(drawn, (round(16 * x), round(16 * y)), round(16 * r), float(rng.uniform(0.4, 1.0)), -1, shift=4)
        left -= np.pi * r * r
    return cv2.GaussianBlur(drawn, (0, 0), 1.0)


def haloed(bodies: Image, size: float) -> Image:
    """Bodies in the light that they scatter over several nuclei."""
    wide = (np.float32(0.02) * cv2.GaussianBlur(bodies, (0, 0), s * size) for s in (0.5, 1.5, 4.0))
    return np.asarray(bodies + sum(wide), np.float32)


def fibres(shape: tuple[int, ...]) -> Image:
    rng, drawn = np.random.default_rng(3), np.zeros(shape, np.float32)
    while np.count_nonzero(drawn) < 0.015 * drawn.size:
        path = np.cumsum(rng.normal(0.0, 15.0, (5, 2)), axis=0) + rng.uniform(0, shape[0], 2)
        cv2.polylines(drawn, [path.astype(np.int32)], isClosed=False, color=float(rng.uniform(0.3, 1.0)), thickness=2)
    return cv2.GaussianBlur(drawn, (0, 0), 1.0)


CONTAMINATION: dict[str, Callable[[tuple[int, ...], float], Image]] = {
    "dead cells, 4 x": lambda shape, size: 4.0 * discs(shape, lambda rng: size * rng.uniform(0.15, 0.5), 0),
    "dead cells, 50 x, halo": lambda shape, size: (
        50.0 * haloed(discs(shape, lambda rng: size * rng.uniform(0.15, 0.5), 1), size)
    ),
    "large dead cells, 15 x, halo": lambda shape, size: 15.0 * haloed(discs(shape, lambda _: 0.6 * size, 2), size),
    "specks, 20 x": lambda shape, _: 20.0 * discs(shape, lambda rng: rng.uniform(1.0, 3.0), 3),
    "fibres, 4 x": lambda shape, _: 4.0 * fibres(shape),
}


def contaminated(image: Image, found: Labels, kind: str, size: float) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
    """The field with something drawn over it, and where that is brighter than a nucleus."""
    light = np.float32(np.median(image[found > 0]) - np.median(image[found == 0]))
    over = light * CONTAMINATION[kind](image.shape, size)
    return np.clip(image + over, 0.0, np.iinfo(np.uint16).max).astype(np.uint16), over > light


def staying(found: Labels, again: Labels, covered: NDArray[np.bool_]) -> tuple[int, int]:
    """How many of the nuclei found, of those not covered by a twentieth, are found again with IoU > 0.7, and of how
    many."""
    areas = np.bincount(found.ravel())
    hidden = np.bincount(found[covered], minlength=areas.size) >= 0.05 * np.maximum(areas, 1)
    matching = match(np.where(hidden[found], 0, found).astype(np.int32), again)
    return int((matching.iou > 0.7).sum()), matching.n_true


@pytest.mark.parametrize("kind", CONTAMINATION)
def test_98_percent_of_the_living_nuclei_stay(
    segmenter: Segmenter, fields: dict[float, tuple[Image, Labels]], kind: str
) -> None:
    counts = {}
    for size, (image, found) in fields.items():
        lit, covered = contaminated(image, found, kind, size)
        counts[size] = staying(found, segment_image(lit, segmenter, Config()).astype(np.int32), covered)
    stay, could = (sum(column) for column in zip(*counts.values(), strict=True))
    assert could > 100, counts
    assert stay / could >= 0.98, counts


@pytest.fixture(scope="module")
def real_fields(segmenter: Segmenter, shared_data: Path) -> dict[str, tuple[Image, Labels]]:
    """Real images of ten nuclei or more, and the nuclei found in them."""
    found = {}
    for path in sorted((shared_data / "nuclei" / "val" / "images").iterdir())[::12]:
        image = read_image(path).astype(np.float32) * 100.0
        labels = segment_image(image.astype(np.uint16), segmenter, Config()).astype(np.int32)
        if labels.max() >= 10:
            found[path.name] = image, labels
    return found


@pytest.mark.parametrize("kind", CONTAMINATION)
def test_in_real_images_they_stay_as_well(
    segmenter: Segmenter, real_fields: dict[str, tuple[Image, Labels]], kind: str
) -> None:
    counts = {}
    for name, (image, found) in real_fields.items():
        size = 2.0 * float(np.sqrt(np.median(np.bincount(found.ravel())[1:]) / np.pi))
        lit, covered = contaminated(image, found, kind, size)
        counts[name] = staying(found, segment_image(lit, segmenter, Config()).astype(np.int32), covered)
    stay, could = (sum(column) for column in zip(*counts.values(), strict=True))
    assert could > 200, counts
    assert stay / could >= 0.9, counts  # in small images the specks touch every third nucleus


def partly_dimmed(
    image: Image, found: Labels, part: float, size: float
) -> tuple[NDArray[np.uint16], NDArray[np.int32]]:
    """The field with a third of its nuclei at ``part`` of their light above what lies between the nuclei, and which
    ones these are."""
    labels = np.unique(found[found > 0]).astype(np.int32)
    chosen = labels[np.random.default_rng(0).random(labels.size) < 1 / 3]
    away, nearest = ndimage.distance_transform_edt(found == 0, return_indices=True)
    dim = np.isin(np.where(away <= 0.2 * size, found[tuple(nearest)], 0), chosen)
    between = float(np.median(image[away > 0.3 * size]))
    return np.where(dim, between + (image - between) * part, image).astype(np.uint16), chosen


def test_nuclei_an_eighth_as_bright_as_their_neighbours_are_found(
    segmenter: Segmenter, fields: dict[float, tuple[Image, Labels]]
) -> None:
    """Without `hcs.train.crowd` the network took nearly all of them for background: 3 of 68."""
    shares, chosen_ones = {}, 0
    for size, (image, found) in fields.items():
        dim, chosen = partly_dimmed(image, found, 0.12, size)
        again = match(found, segment_image(dim, segmenter, Config()).astype(np.int32))
        own = np.isin(np.unique(found[found > 0]), chosen)
        shares[size] = [int((again.iou[rows] > 0.5).sum()) / int(rows.sum()) for rows in (own, ~own)]
        chosen_ones += int(own.sum())
    assert chosen_ones > 50
    assert all(dim >= 0.8 and others >= 0.98 for dim, others in shares.values()), shares
