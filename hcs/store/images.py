"""Single 2-D images: PNG and TIFF files in, label images out."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from hcs.errors import FieldError
from hcs.store.atomic import replacing

SUFFIXES = (".png", ".tif", ".tiff")


def read_image(path: Path) -> NDArray[Any]:
    """Grey image (Y, X) of the file's dtype; an RGB image whose channels are equal counts as grey.

    Raises FieldError naming the file where it is missing, unreadable, in colour, or has more than two dimensions.
    """
    try:
        if path.suffix.lower() == ".png":
            data = np.frombuffer(path.read_bytes(), np.uint8)
            image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
            if image is None:
                raise FieldError(path.name, f"{path} is not a readable PNG; write it again")
        else:
            image = tifffile.imread(path)
    except (OSError, ValueError, struct.error, tifffile.TiffFileError) as error:
        raise FieldError(path.name, f"{path} cannot be read as an image ({error})") from error
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[2] in (3, 4) and (array[..., :1] == array[..., :3]).all():
        array = array[..., 0]
    if array.ndim != 2:
        raise FieldError(path.name, f"{path} has shape {array.shape}; a grey 2-D image is needed, one channel a file")
    return array


def labels_image(name: str, labels: NDArray[np.uint32]) -> bytes:
    """Labels (Y, X) as the file ``name``: uint16, or uint32 where more than 65,535 nuclei need it (TIFF only; PNG
    cannot)."""
    wide = int(labels.max(initial=0)) > np.iinfo(np.uint16).max
    array = labels if wide else labels.astype(np.uint16)
    if not name.lower().endswith(".png"):
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, array, compression="zlib")
        return buffer.getvalue()
    if wide:
        raise FieldError(name, f"{labels.max()} nuclei do not fit a 16-bit PNG; give the image as TIFF")
    return bytes(cv2.imencode(".png", array)[1].tobytes())


def write_labels_image(path: Path, labels: NDArray[np.uint32]) -> None:
    """Write `labels_image` to ``path``; what is there is replaced."""
    with replacing(path) as temporary:
        temporary.write_bytes(labels_image(path.name, labels))
