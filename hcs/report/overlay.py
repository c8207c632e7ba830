"""Picture of one field with its nuclei outlined."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from hcs.report.style import OUTLINE, short


def outlined(image: npt.NDArray[np.generic], labels: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """Grey image (Y, X) of any real dtype as RGB (Y, X, 3) in 0 to 1, with the labels' outlines in colour.

    Black is the 1st, white the 99.8th percentile; a flat image becomes black. Raises ValueError where image
    and labels differ in shape.
    """
    if image.shape != labels.shape:
        raise ValueError(f"image {image.shape} and labels {labels.shape} differ in shape; give those of one field")
    values = np.nan_to_num(image.astype(np.float64))
    low, high = np.percentile(values, [1, 99.8])
    grey = np.clip((values - low) / (high - low), 0, 1) if high > low else np.zeros(values.shape)
    picture = np.repeat(grey[..., None], 3, axis=2)
    picture[_outlines(labels)] = to_rgb(OUTLINE)
    return picture


def _outlines(labels: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Pixels of a nucleus beside a pixel (up, down, left, right) of another label, (Y, X)."""
    down = labels[1:] != labels[:-1]
    right = labels[:, 1:] != labels[:, :-1]
    edge = np.zeros(labels.shape, dtype=bool)
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= right
    edge[:, :-1] |= right
    return edge & (labels > 0)


def draw_field(
    axes: Axes,
    image: npt.NDArray[np.generic],
    labels: npt.NDArray[np.integer],
    *,
    title: str = "",
    pixel_size_um: float | None = None,
) -> None:
    """Draw one field (Y, X) with outlined nuclei and, where the pixel size is known, a scale bar."""
    axes.imshow(outlined(image, labels), interpolation="nearest")
    axes.set_axis_off()
    count = len(np.unique(labels[labels > 0]))
    axes.set_title(
        short(f"{title}, {count:,} nuclei" if title else f"{count:,} nuclei", 60),
        fontsize=9,
        parse_math=False,
    )
    if pixel_size_um:
        height, width = image.shape
        length_um = next((s for s in (200, 100, 50, 20, 10, 5, 1) if s / pixel_size_um < width / 3), 1)
        right, y = width * 0.96, height * 0.96
        axes.plot([right - length_um / pixel_size_um, right], [y, y], color="white", linewidth=2.5)
        axes.text(right, y - height * 0.015, f"{length_um} µm", color="white", ha="right", va="bottom", fontsize=8)


def overlay_figure(
    image: npt.NDArray[np.generic],
    labels: npt.NDArray[np.integer],
    *,
    title: str = "",
    pixel_size_um: float | None = None,
) -> Figure:
    """Figure of ``draw_field``."""
    height, width = image.shape
    figure = Figure(figsize=(6, 6 * height / width + 0.3), layout="constrained")
    draw_field(figure.add_subplot(), image, labels, title=title, pixel_size_um=pixel_size_um)
    return figure
