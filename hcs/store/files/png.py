"""One PNG file: its header, whether all of it is there, and its values.

A file by itself because decoders fill what a cut or flipped PNG lacks without a word: the chunks are checked here.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hcs.store.files.tiff import Page, Refused

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Values a pixel by colour type: grey, RGB, palette, grey with alpha, RGB with alpha."""
_BY_PALETTE = 3


def png_page(path: Path) -> Page:
    """What a PNG file holds; Refused where it is cut short, animated, or no PNG."""
    return _header(path.read_bytes(), check=False)


def read_png(path: Path) -> NDArray[Any]:
    """Stored values, (Y, X) or (Y, X, samples), of a palette its indices; Refused where a checksum fails."""
    data = path.read_bytes()
    page = _header(data, check=True)
    if page.palette is not None:
        from PIL import Image  # noqa: PLC0415  for palettes alone, which OpenCV turns into colours

        with Image.open(BytesIO(data)) as image:
            return np.asarray(image if image.mode in ("P", "L") else image.convert("P"))
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None:
        raise Refused("is not a readable PNG; write it again")
    return np.asarray(found)


def _header(data: bytes, *, check: bool) -> Page:
    chunks = {name: content for name, content in _chunks(data, check=check) if name != b"IDAT"}
    if b"acTL" in chunks:
        raise Refused("is an animation; save one image a file")
    if len(chunks.get(b"IHDR", b"")) != 13:
        raise Refused("is damaged: its header is missing; copy or write it again")
    width, height, bits, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    if colour not in _SAMPLES or not width or not height:
        raise Refused("is damaged: its header makes no sense; copy or write it again")
    palette = np.frombuffer(chunks.get(b"PLTE", b""), np.uint8) if colour == _BY_PALETTE else None
    return Page(
        shape=(height, width),
        dtype=np.dtype(np.uint16 if bits == 16 else np.uint8),
        bits=8 if 1 < bits < 8 else bits,
        samples=_SAMPLES[colour],
        palette=None if palette is None else palette.reshape(-1, 3).T.astype(np.uint16) * 257,
        white_is_zero=False,
        fiji=False,
        offset=0,
        lossy=False,
    )


def _chunks(data: bytes, *, check: bool) -> Iterator[tuple[bytes, bytes]]:
    """Names and contents; Refused where the end is missing or, where wanted, a checksum fails."""
    if not data.startswith(_SIGNATURE):
        raise Refused("is no PNG; write it again")
    at = len(_SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        name, content, end = data[at + 4 : at + 8], data[at + 8 : at + 8 + length], at + 12 + length
        if end > len(data):
            break
        if check and zlib.crc32(data[at + 4 : end - 4]) != struct.unpack(">I", data[end - 4 : end])[0]:
            raise Refused(
                f"is damaged: the checksum of its part {name.decode('ascii', 'replace')} fails; copy it again"
            )
        yield name, content
        if name == b"IEND":
            return
        at = end
    raise Refused("is cut short: its end is missing; copy or write it again")
