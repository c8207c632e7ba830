"""The illumination of a plate on disk: a NumPy .npz with ``flat_<channel>`` and ``background_<channel>``, float32."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.errors import ConfigError
from hcs.measure.illumination import ChannelLight
from hcs.store.atomic import replacing
from hcs.store.location import Location

Lights = Mapping[str, ChannelLight]
"""Channel name → its illumination."""


def illumination_path(out: Location) -> Location:
    """Where a results folder keeps the illumination that its fields were corrected with."""
    return out / "illumination" / "flatfield.npz"


def write_illumination(path: Location, lights: Lights) -> None:
    """Write the illumination of all channels as one .npz, with the number of fields, error and reason beside each."""
    arrays: dict[str, Any] = {}
    for name, light in lights.items():
        arrays |= {
            f"flat_{name}": light.flat,
            f"background_{name}": light.background,
            f"fields_{name}": np.array(light.fields),
            f"error_{name}": np.array(light.error),
            f"reason_{name}": np.array(light.reason),
        }
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def read_illumination(path: Location, channels: tuple[str, ...]) -> dict[str, ChannelLight]:
    """The illumination of ``channels``, from a file that `write_illumination` or anybody's `numpy.savez` made.

    Each channel needs ``flat_<channel>`` (h, w), above 0 and of any mean (it is put to 1), and ``background_<channel>``
    (h, w) or a single number, in grey levels. ConfigError where the file cannot be read, lacks a channel, or holds
    something else.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes())) as file:
            return {name: _light({key: file[key] for key in file.files}, name) for name in channels}
    except (OSError, ValueError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise ConfigError(
            f"illumination {path} cannot be used ({error}); give an .npz with flat_<channel> and background_<channel> "
            f"of {', '.join(channels)}, such as illumination/flatfield.npz of another run"
        ) from error


def _light(arrays: dict[str, NDArray[np.generic]], name: str) -> ChannelLight:
    missing = [key for key in (f"flat_{name}", f"background_{name}") if key not in arrays]
    if missing:
        raise ValueError(f"it has no {' and no '.join(missing)}")
    flat = arrays[f"flat_{name}"].astype(np.float32)
    if flat.ndim != 2 or flat.size == 0 or not np.isfinite(flat).all() or not flat.min() > 0:
        raise ValueError(f"flat_{name} is not a 2-D array of numbers above 0")
    mean = float(flat.mean(dtype=np.float64))
    background = np.broadcast_to(arrays[f"background_{name}"].astype(np.float32), flat.shape).copy()
    if not np.isfinite(background).all():
        raise ValueError(f"background_{name} holds values that are no numbers")
    return ChannelLight(
        flat=flat if abs(mean - 1) < 1e-4 else flat / np.float32(mean),
        background=background,
        fields=int(arrays.get(f"fields_{name}", np.array(0))),
        error=float(arrays.get(f"error_{name}", np.array(np.nan))),
        reason=str(arrays.get(f"reason_{name}", "")),
    )


def illumination_hash(lights: Lights) -> str:
    """SHA-256 of the arrays, channel by channel: the same correction has the same hash, whatever file it is in."""
    digest = hashlib.sha256()
    for name in sorted(lights):
        for array in (lights[name].flat, lights[name].background):
            digest.update(f"{name} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array, "<f4").tobytes())
    return digest.hexdigest()


def read_kept(out: Location, sha256: str, channels: tuple[str, ...]) -> Lights:
    """The illumination of a results folder; ConfigError where it is not the one of this hash."""
    lights = read_illumination(illumination_path(out), channels)
    if illumination_hash(lights) != sha256:
        raise ConfigError(f"{illumination_path(out)} was changed during the run; start it again in a new folder")
    return lights
