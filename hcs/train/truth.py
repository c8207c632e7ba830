"""Truth for one channel from the nuclei of another, vetted: what cannot be trusted is neither nucleus nor background.

Nuclei are found, or were labelled, in a channel that shows them well; a network is to learn them in another. Its limit
is the truth's errors (DNA channels have them, too), so a nucleus is taken out of loss and score where the truth channel
gives no sharp, sure, unsaturated picture of it, or the input shows nothing there. After a first round of training, what
the network sees clearly in the input and the truth lacks is taken out as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hcs.errors import ConfigError
from hcs.segment.normalise import Normalisation, noise_sd, normalisation_of
from hcs.train.targets import depth_px

Floats = NDArray[np.float64]

KEPT = ""
UNSURE = "low confidence in the truth channel"
SATURATED = "saturated in the truth channel"
BLURRED = "out of focus in the truth channel"
UNSEEN = "nothing there in the input channel"
LACKING = "seen in the input channel, without a nucleus in the truth"
REASONS = (UNSURE, SATURATED, BLURRED, UNSEEN, LACKING)
"""Why something is ignored, in the order in which the reasons are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthSettings:
    """What a nucleus of the truth channel must have, to be taught; a least of 0 asks nothing."""

    min_confidence: float = 0.7
    """Least mean probability of its pixels by the network that found it; labels from elsewhere have none, and pass."""
    max_saturated: float = 0.05
    """Most of its pixels that may be at the truth channel's highest grey level, where that is a camera's limit."""
    min_sharpness: float = 0.5
    """Least steepness of its outline, as a share of the median of all nuclei of the plate."""
    min_signal: float = 3.0
    """Least signal of the input channel in and around it, above the field's background, in standard deviations of the
    pixel noise; at least ``min_signal_share`` as well."""
    min_signal_share: float = 0.015
    """The same as a share of what usual cells of the field have."""
    lacking_confidence: float = 0.7
    """Confidence from which a nucleus that the first round finds in the input, and the truth lacks, is ignored."""
    lacking_overlap: float = 0.1
    """Most of such a nucleus that may lie on nuclei of the truth."""
    margin_px: int = 2
    """Pixels around an ignored nucleus that are ignored with it."""
    register: bool = True
    """Whether the truth is moved by whole pixels to lie on the input, where outlines tell how far the two are apart."""

    def __post_init__(self) -> None:
        for name in ("min_confidence", "max_saturated", "min_signal_share", "lacking_confidence", "lacking_overlap"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"{name} = {getattr(self, name)}: a share from 0 to 1 is needed")
        for name in ("min_sharpness", "min_signal", "margin_px"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} = {getattr(self, name)}: it cannot be negative")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for each nucleus of a field's truth, (n,) each, in the order of ``values``."""

    values: NDArray[np.int64]
    """Label values, ascending."""
    confidence: Floats
    """Mean over its pixels; 1 where nobody gave one."""
    saturated: Floats
    """Share of its pixels at the limit of the truth channel's camera."""
    sharpness: Floats
    """Mean gradient along its outline over its contrast with its surroundings, 1/px; NaN without contrast."""
    signal: Floats
    """Input channel in and around it above background, in standard deviations of noise."""
    signal_share: Floats
    """The same as a share of the scale of the field's normalisation, which is about what usual cells have."""


@dataclass(frozen=True, slots=True)
class Vetted:
    """The truth of one field: what is taught, what is left out, and why."""

    labels: NDArray[np.int32]
    """(Y, X), ignored nuclei among them: they part their neighbours, and crops know their size."""
    ignore: NDArray[np.bool_]
    """(Y, X) pixels that count neither way."""
    reasons: dict[int, str]
    """By label value, of the ignored nuclei."""
    lacking: NDArray[np.int32]
    """(Y, X) nuclei of the input channel that the truth lacks, 1..n; in the first round none."""

    def counts(self) -> dict[str, int]:
        """Nuclei by reason; those that are taught by ``KEPT``."""
        found = dict.fromkeys((KEPT, *REASONS), 0)
        for reason in self.reasons.values():
            found[reason] += 1
        found[LACKING] = int(self.lacking.max(initial=0))
        found[KEPT] = int(np.count_nonzero(np.bincount(self.labels.ravel())[1:])) - len(self.reasons)
        return found


def evidence(
    labels: NDArray[np.integer],
    truth: NDArray[Any],
    given: NDArray[Any],
    *,
    limit: float | None,
    confidence: NDArray[np.float32] | None = None,
) -> Evidence:
    """What the truth channel ``truth`` and the input channel ``given``, both (Y, X), say of the nuclei ``labels``.

    ``limit`` is the highest grey level of the truth's camera (`camera_limit`), ``confidence`` (Y, X) the network's.
    ValueError where shapes differ.
    """
    if not labels.shape == truth.shape == given.shape:
        raise ValueError(f"labels {labels.shape}, truth {truth.shape} and input {given.shape} are not of one field")
    numbers = labels.astype(np.int32)
    area = np.bincount(numbers.ravel())
    values = np.flatnonzero(area[1:]) + 1

    def mean(image: NDArray[Any], where: NDArray[np.int32] = numbers) -> Floats:
        count = np.bincount(where.ravel(), minlength=area.size)[values]
        total = np.bincount(where.ravel(), weights=image.ravel().astype(np.float64), minlength=area.size)[values]
        return np.asarray(total / np.maximum(count, 1))

    pixels = truth.astype(np.float32)
    around = _around(numbers)
    outline = np.where(depth_px(numbers) == 1.0, numbers, 0).astype(np.int32)
    contrast = mean(pixels) - mean(pixels, np.where(numbers > 0, 0, around).astype(np.int32))
    steep = np.hypot(cv2.Sobel(pixels, cv2.CV_32F, 1, 0) / 8.0, cv2.Sobel(pixels, cv2.CV_32F, 0, 1) / 8.0)
    signal, share = _signal(given, normalisation_of(given), mean, around)
    return Evidence(
        values=values,
        confidence=np.ones(len(values)) if confidence is None else mean(confidence),
        saturated=np.zeros(len(values)) if limit is None else mean(pixels >= limit),
        sharpness=np.where(contrast > 0, mean(steep, outline) / np.where(contrast > 0, contrast, 1.0), np.nan),
        signal=signal,
        signal_share=share,
    )


def _around(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Every nucleus with the pixels within 5 px of it, (Y, X); where two meet, the higher label."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11))
    grown = cv2.dilate(labels.astype(np.float32), disc).astype(np.int32)
    return np.where(labels > 0, labels, grown).astype(np.int32)


def _signal(given: NDArray[Any], known: Normalisation, mean: Any, around: NDArray[np.int32]) -> tuple[Floats, Floats]:
    """Input in and around each nucleus above background: over the noise, and as a share of the field's scale."""
    pixels = given.astype(np.float32)
    above = mean(pixels, around) - known.low
    noise = max(noise_sd(pixels), float(np.sqrt(1.0 / 12.0)) if given.dtype.kind in "iu" else 1e-12)
    return above / noise, above / known.scale if known.scale > 0 else np.zeros_like(above)


def camera_limit(images: Sequence[NDArray[Any]]) -> float | None:
    """The highest grey level of ``images``, where pixels pile up at it as at a camera's limit; None where not."""
    top = max(float(image.max(initial=0)) for image in images)
    at_top = sum(int(np.count_nonzero(image == top)) for image in images)
    close = sum(int(np.count_nonzero((image >= 0.98 * top) & (image < top))) for image in images)
    return top if at_top >= 20 and at_top > close / 2 else None


def vet(labels: NDArray[np.integer], found: Evidence, settings: TruthSettings, *, usual_sharpness: float) -> Vetted:
    """The truth of one field, those of its nuclei ignored that ``settings`` do not let pass.

    ``usual_sharpness`` is the median over the plate, of which a nucleus must have a share.
    """
    reasons: dict[int, str] = {}
    checks = {
        UNSURE: found.confidence < settings.min_confidence,
        SATURATED: found.saturated > settings.max_saturated,
        BLURRED: (settings.min_sharpness > 0) & ~(found.sharpness >= settings.min_sharpness * usual_sharpness),
        UNSEEN: (settings.min_signal > 0) & (found.signal < settings.min_signal)
        | (settings.min_signal_share > 0) & (found.signal_share < settings.min_signal_share),
    }
    for reason, fails in checks.items():
        for value in found.values[fails]:
            reasons.setdefault(int(value), reason)
    numbers = labels.astype(np.int32)
    ignore = _with_margin(np.isin(numbers, list(reasons)), settings.margin_px)
    others = (numbers > 0) & ~np.isin(numbers, list(reasons))
    return Vetted(numbers, ignore & ~others, reasons, np.zeros(numbers.shape, np.int32))


def without_lacking(
    vetted: Vetted, seen: NDArray[np.integer], confidence: NDArray[np.float32], settings: TruthSettings
) -> Vetted:
    """``vetted`` with nuclei of the second round ignored: those ``seen`` (Y, X) in the input by a network that is sure
    of them, by its ``confidence`` (Y, X), where the truth has none."""
    numbers = seen.astype(np.int32)
    area = np.maximum(np.bincount(numbers.ravel()), 1)
    sure = np.bincount(numbers.ravel(), weights=confidence.ravel()) / area >= settings.lacking_confidence
    known = np.bincount(numbers[vetted.labels > 0], minlength=area.size) / area > settings.lacking_overlap
    new = sure & ~known
    new[0] = False
    lacking = np.where(new, np.cumsum(new), 0)[numbers].astype(np.int32)
    wider = _with_margin(lacking > 0, settings.margin_px) & (vetted.labels == 0)
    return Vetted(vetted.labels, vetted.ignore | wider, vetted.reasons, lacking)


def _with_margin(where: NDArray[np.bool_], margin_px: int) -> NDArray[np.bool_]:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin_px + 1, 2 * margin_px + 1))
    return np.asarray(cv2.dilate(where.view(np.uint8), disc) > 0)
