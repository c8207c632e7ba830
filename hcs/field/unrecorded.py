"""What of a field was not recorded, and when that is too much, in the same words for whole fields and for blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.errors import FieldError
from hcs.measure.fill import Fill, find_fill
from hcs.measure.intensity import block_means
from hcs.measure.settings import MeasureSettings
from hcs.plate.channels import Channels
from hcs.plate.keys import FieldKey


def find_unrecorded(key: FieldKey, image: NDArray[Any], channels: Channels, settings: MeasureSettings) -> Fill | None:
    """The fill of a field (C, Y, X); FieldError where a needed channel, or nearly all of it, was not recorded."""
    fill = find_fill(image)
    if fill is not None:
        refuse_unrecorded(key, fill.blank, [image[c].flat[0] for c in fill.blank], channels)
        if fill.mask is not None and not (block_means(fill.mask.astype(np.float32), settings) == 0).any():
            raise too_little(key, fill.recorded)
    return fill


def refuse_unrecorded(key: FieldKey, blank: tuple[int, ...], values: list[Any], channels: Channels) -> None:
    """FieldError where one of the channels that hold one of ``values`` alone is needed."""
    needed = {channels.nuclei, channels.dna, channels.sensor}
    for c, value in zip(blank, values, strict=True):
        if c in needed:
            raise FieldError(
                key,
                f"not recorded: every pixel of channel {channels.names[c]} is {value}; image the field again, or leave "
                "the well out",
            )


def too_little(key: FieldKey, recorded: float) -> FieldError:
    """The error of a field of which hardly anything was recorded."""
    return FieldError(
        key,
        f"not recorded: {recorded:.2%} of it is image and the rest fill of one value, too little to find a "
        "background; image the field again, or leave the well out",
    )


def blank_remarks(blank: tuple[int, ...], channels: Channels) -> tuple[str, ...]:
    """What is worth saying about channels of which nothing was recorded."""
    return tuple(
        f"nothing was recorded in channel {channels.names[c]}, whose pixels are all alike: its columns are NaN"
        for c in blank
    )
