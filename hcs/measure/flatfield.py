"""The illumination of a plate, estimated from many of its fields.

BaSiCPy, the usual estimator, is not used: it pins SciPy below the version that this package needs, and brings an
optimiser and a cosine-transform package for torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from hcs.measure.illumination import ChannelLight
from hcs.measure.intensity import Floats, Floats32
from hcs.measure.quality import noise_sd

FEWEST_FIELDS = 8
"""Fields with cells that an estimate needs."""
_TILES = 16
_GROUPS = 8
_ROUNDS = 6
_DEGREE = 4
_FEWEST_PIXELS = 20
_LEVEL, _LOW = 5.0, 10.0
"""Percentiles: a field's own background level; the background of a tile over all fields."""
_PRICE = 0.005
"""Share of the prediction error that each further parameter of a shape must save to be worth it."""
_DARKEST = 0.05


def estimate_light(stack: Floats32) -> ChannelLight:
    """Illumination of one channel from many fields (N, h, w) of a plate, each reduced in size.

    Background: the 10th percentile over fields and pixels, tile by tile, each field less its own level (its 5th
    percentile), plus the median level; smoothed by a polynomial of degree 4.

    Flat-field: the mean logarithm of what lies above the background, tile by tile, each field relative to its own mean,
    over pixels beyond a threshold that follows the flat-field, so that dim corners lose no more of their cells than the
    middle; found in six rounds. It is smoothed by the shape that best predicts an eighth of the fields from the others,
    at a price for every parameter: a constant, the background's shape plus a constant (the medium is lit as cells are,
    the camera's offset is not), a polynomial of degree 1, 2, 3 or 4. Few cells so give a plain answer instead of a
    noisy one. The model is that of Singh et al., J. Microsc. 256, 231 (2014); the error is a jackknife's over eighths.

    With fewer than 8 fields that show cells ``flat`` is 1, and ``reason`` says why.
    """
    n, height, width = stack.shape
    tiles = _Tiles.of(height, width)
    levels = np.percentile(stack.reshape(n, -1), _LEVEL, axis=1).astype(np.float32)
    level_free = stack - (levels - np.median(levels))[:, None, None]
    low = tiles.fit(tiles.percentile(level_free, _LOW), np.ones(tiles.count), _powers(_DEGREE))
    background = tiles.image(low).astype(np.float32)
    found = _fit(stack - background, tiles, low)
    if isinstance(found, str):
        return ChannelLight(flat=np.ones((height, width), np.float32), background=background, fields=n, reason=found)
    flat = tiles.light(found.coefficients).astype(np.float32)
    return ChannelLight(flat=flat, background=background, fields=n, error=found.error)


@dataclass(frozen=True, slots=True, eq=False)
class _Tiles:
    """A grid of at most 16 × 16 tiles over the reduced field (h, w)."""

    of_pixel: NDArray[np.intp]
    """(h, w), number of the tile."""
    terms: Floats
    """(tiles, 25), products of Legendre polynomials at the tiles' centres."""

    @classmethod
    def of(cls, height: int, width: int) -> _Tiles:
        """The grid of a field of this size."""
        n_y, n_x = min(_TILES, height), min(_TILES, width)
        rows, columns = np.arange(height) * n_y // height, np.arange(width) * n_x // width
        y, x = (np.bincount(tile, weights=_axis(len(tile))) / np.bincount(tile) for tile in (rows, columns))
        grid_y, grid_x = np.meshgrid(y, x, indexing="ij")
        terms = legendre.legvander2d(grid_y.ravel(), grid_x.ravel(), [_DEGREE] * 2)
        return cls(rows[:, None] * n_x + columns[None, :], np.asarray(terms, np.float64))

    @property
    def count(self) -> int:
        """Number of tiles."""
        return len(self.terms)

    def percentile(self, signal: Floats32, q: float) -> Floats:
        """Percentile (tiles,) over all fields (N, h, w) and pixels of each tile."""
        order = np.argsort(self.of_pixel, axis=None, kind="stable")
        bounds = np.concatenate([[0], np.cumsum(np.bincount(self.of_pixel.ravel()))])
        flat = signal.reshape(len(signal), -1)
        return np.array([np.percentile(flat[:, order[start:stop]], q) for start, stop in pairwise(bounds)])

    def fit(self, values: Floats, weights: Floats, shapes: Floats) -> Floats:
        """Coefficients (25,) of the combination of ``shapes`` (25, k) nearest to ``values`` (tiles,), least squares."""
        root = np.sqrt(weights)
        design = (self.terms @ shapes) * root[:, None]
        return np.asarray(shapes @ np.linalg.lstsq(design, values * root, rcond=None)[0])

    def image(self, coefficients: Floats) -> Floats:
        """The polynomial at every pixel, (h, w)."""
        height, width = self.of_pixel.shape
        side = _DEGREE + 1
        return np.asarray(legendre.leggrid2d(_axis(height), _axis(width), coefficients.reshape(side, side)))

    def light(self, coefficients: Floats) -> Floats:
        """The polynomial as a flat-field (h, w): mean 1, nowhere darker than a twentieth of that."""
        image = self.image(coefficients)
        bounded = np.maximum(image / image.mean(), _DARKEST)
        return np.asarray(bounded / bounded.mean())


def _axis(n: int) -> Floats:
    """Pixel centres (n,) from -1 to 1 over the field."""
    return (np.arange(n) + 0.5) * 2 / n - 1


def _powers(degree: int) -> Floats:
    """The polynomials (25, k) of this total degree and below."""
    total = np.add.outer(np.arange(_DEGREE + 1), np.arange(_DEGREE + 1)).ravel()
    return np.eye(len(total))[:, total <= degree]


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """Polynomial of the flat-field, (25,), and its relative standard error."""

    coefficients: Floats
    error: float


@dataclass(frozen=True, slots=True, eq=False)
class _Brightness:
    """Log brightness of cells by group of fields and tile: sums and pixels behind them, (groups, tiles)."""

    sums: Floats
    pixels: Floats

    def without(self, group: int) -> _Brightness:
        """All groups but one."""
        return _Brightness(np.delete(self.sums, group, axis=0), np.delete(self.pixels, group, axis=0))

    def only(self, group: int) -> _Brightness:
        """One group."""
        return _Brightness(self.sums[[group]], self.pixels[[group]])

    @property
    def weights(self) -> Floats:
        """Pixels (tiles,) over all groups."""
        return np.asarray(self.pixels.sum(axis=0), np.float64)

    @property
    def values(self) -> Floats:
        """Geometric mean brightness (tiles,); 1 where no pixel tells it."""
        return np.asarray(np.exp(self.sums.sum(axis=0) / np.maximum(self.weights, 1.0)), np.float64)


def _fit(signal: Floats32, tiles: _Tiles, background: Floats) -> _Fit | str:
    """The flat-field from the cells' signal (N, h, w) above the background (25,), or why it cannot be told."""
    noise = float(np.median([noise_sd(field) for field in signal]))
    medium = _powers(2) @ _powers(2).T @ background  # of low degree, because cells leave their marks on the background
    candidates = [_powers(0), np.column_stack([_powers(0), medium]), *(_powers(d) for d in range(1, _DEGREE + 1))]
    coefficients = _powers(0)[:, 0]
    for _ in range(_ROUNDS):
        found = _brightness(signal, tiles.light(coefficients), noise, tiles)
        if isinstance(found, str):
            return found
        shapes = _best_shape(found, tiles, candidates)
        coefficients = _shaped(found, tiles, shapes)
        error = _jackknife(found, tiles, shapes)
    return _Fit(coefficients, error)


def _shaped(found: _Brightness, tiles: _Tiles, shapes: Floats) -> Floats:
    """The flat-field (25,) of these shapes nearest to the tiles' values, whose relative error falls with pixels."""
    return tiles.fit(found.values, found.weights / found.values**2, shapes)


def _jackknife(found: _Brightness, tiles: _Tiles, shapes: Floats) -> float:
    """Relative standard error of the flat-field, root mean square over the field: from leaving out group by group."""
    logs = np.stack([np.log(tiles.light(_shaped(found.without(g), tiles, shapes))) for g in range(_GROUPS)])
    return float(np.sqrt((_GROUPS - 1) * logs.var(axis=0).mean()))


def _brightness(signal: Floats32, light: Floats, noise: float, tiles: _Tiles) -> _Brightness | str:
    """Brightness of the pixels of cells, told by a threshold in the field as a flat-field ``light`` (h, w) has it."""
    even = signal / light.astype(np.float32)
    threshold = max(6.0 * noise, 0.25 * float(np.percentile(even[:, ::2, ::2], 99.5)))
    field, y, x = np.nonzero(even > threshold)
    logs = np.log(even[field, y, x].astype(np.float64))
    seen = np.bincount(field, minlength=len(signal))
    shown = seen >= _FEWEST_PIXELS
    if shown.sum() < FEWEST_FIELDS:
        return f"{shown.sum()} of {len(signal)} fields show cells above the background, {FEWEST_FIELDS} are needed"
    logs -= (np.bincount(field, weights=logs, minlength=len(signal)) / np.maximum(seen, 1))[field]
    logs += np.log(light)[y, x]
    group = (np.cumsum(shown) % _GROUPS)[field]  # fields with cells in turn, whatever the number of empty ones between
    place = group * tiles.count + tiles.of_pixel[y, x]
    weights = shown[field].astype(np.float64)
    length = _GROUPS * tiles.count
    sums, pixels = (
        np.asarray(np.bincount(place, weights=w, minlength=length), np.float64).reshape(_GROUPS, -1)
        for w in (weights * logs, weights)
    )
    return _Brightness(sums, pixels)


def _best_shape(found: _Brightness, tiles: _Tiles, candidates: list[Floats]) -> Floats:
    """The candidate that predicts left-out fields best, at a price for every parameter."""
    return min(candidates, key=lambda c: _prediction_error(found, tiles, c) * (1 + _PRICE * c.shape[1]))


def _prediction_error(found: _Brightness, tiles: _Tiles, shapes: Floats) -> float:
    """Sum of the weighted squared relative errors with which the other fields predict each group's."""
    error = 0.0
    for group in range(_GROUPS):
        predicted = tiles.terms @ _shaped(found.without(group), tiles, shapes)
        left_out = found.only(group)
        error += float((left_out.weights * (predicted / left_out.values - 1) ** 2).sum())
    return error
