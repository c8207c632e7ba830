"""A value of every nucleus, measured as `hcs run` measures it, by which an evaluation is stratified."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hcs.errors import ConfigError
from hcs.evaluate.matching import Floats, Ints
from hcs.measure.columns import column_dictionary
from hcs.measure.measure import measure_nuclei
from hcs.measure.settings import MeasureSettings

_CHANNEL = "Image"
_NO_VALUES = ("Metadata_ObjectNumber", "Nuclei_AreaShape_AreaUm2", "Nuclei_Confidence")
SHORT_NAMES = {
    "area": "Nuclei_AreaShape_Area",
    "mean": f"Nuclei_Intensity_MeanIntensity_{_CHANNEL}",
    "content": "Nuclei_DNA_Content",
    "ratio": "Nuclei_Sensor_Ratio",
}
"""Names of the values most asked for; any other column of the nucleus table goes by its own name."""


@dataclass(frozen=True, slots=True)
class Value:
    """One column of the nucleus table."""

    column: str

    @property
    def needs_image(self) -> bool:
        """Whether it takes an intensity image, and not labels alone."""
        return not self.column.startswith("Nuclei_AreaShape_")

    def measure(self, dense: Ints, image: NDArray[np.generic] | None) -> Floats:
        """The value of nuclei 1…n of ``dense`` (Y, X) in ``image`` (Y, X), (n,); NaN where it is not defined."""
        plane = np.zeros(dense.shape, np.uint8) if image is None else image
        table = measure_nuclei(
            dense, plane[None], channels=(_CHANNEL,), dna=_CHANNEL, sensor=_CHANNEL, settings=MeasureSettings()
        )
        return table.columns[self.column].astype(np.float64)


def find_value(name: str, *, with_images: bool) -> Value:
    """The value called ``name``, a short name or a column; ConfigError for an unknown one or one without its image.

    Intensity columns end in ``_Image``, whatever the channel's real name.
    """
    column = SHORT_NAMES.get(name, name)
    known = [c.name for c in column_dictionary((_CHANNEL,), _CHANNEL, _CHANNEL) if c.name not in _NO_VALUES]
    if column not in known:
        raise ConfigError(
            f"{name!r} is no value of a nucleus; choose {', '.join(SHORT_NAMES)}, or one of {', '.join(known)}"
        )
    value = Value(column)
    if value.needs_image and not with_images:
        raise ConfigError(f"{name!r} is measured in an image; give the folder of images with --images")
    return value
