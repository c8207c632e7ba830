"""A movie whose nuclei lose their contrast, as a worker looks at it: which frames are clear, and, for a frame that is
not, nuclei carried from the clear frames around it.

A frame stays the unit of work. What a frame comes to depends on the pixels of its field alone: a worker looks through
the field's frames once, and reads again those from the last clear frame before to the first one after. What it keeps
meanwhile saves time and changes nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hcs.errors import FieldError
from hcs.measure.fill import find_fill, without_fill
from hcs.measure.illumination import correct
from hcs.segment.carry import (
    Flow,
    added,
    agree,
    around,
    carried,
    clear_frames,
    clearness,
    corrected,
    levelled,
    step_flow,
    together,
)
from hcs.store.plate.reader import read_field

if TYPE_CHECKING:
    from hcs.field.job import Job
    from hcs.plate.keys import FieldKey
    from hcs.segment.segmenter import Segmenter
    from hcs.store.plate.field import FieldInfo

Labels = NDArray[np.uint32]
K = TypeVar("K")
V = TypeVar("V")
_NETWORK_DIAMETER_PX = 24.0
_MOST_LABELS = 2
_MOST_FLOW_BYTES = 256 * 2**20


@dataclass(slots=True)
class _Kept:
    """What a worker keeps of the movie that it is at."""

    clear: NDArray[np.bool_] | None = None
    labels: OrderedDict[int, Labels] = field(default_factory=OrderedDict)
    flows: OrderedDict[tuple[int, int], Flow] = field(default_factory=OrderedDict)


@lru_cache(maxsize=1)
def _kept(out: str, run_id: str, field_name: str) -> _Kept:
    """That of one field; that of the field before is let go."""
    del out, run_id, field_name
    return _Kept()


class Movie:
    """One field over time."""

    def __init__(self, job: Job, key: FieldKey, info: FieldInfo, segmenter: Segmenter) -> None:
        self._job, self._key, self._info, self._segmenter = job, key, info, segmenter
        self._kept = _kept(job.out, job.run_id, str(key.of_field))

    def nuclei(self, own: Labels) -> tuple[Labels, str]:
        """Labels (Y, X) of the key's frame, of which the networks gave ``own``, and a remark where they were carried.

        A clear frame has its own. In another, nuclei come from the clear frames before and after, moved along with the
        picture, with the frame's own outlines where it shows them.
        """
        frame = self._key.frame
        clear = self.clear()
        if clear[frame]:
            return own, ""
        before, after = around(frame, clear)
        sides = [self._carried(source, frame) for source in (before, after) if source is not None]
        if before is not None and after is not None:
            if not agree(sides[0], sides[1]):
                return own, (
                    f"its nuclei are faint, and those carried from frame {before} and {after} do not agree: they move "
                    "too far from frame to frame; film more often"
                )
            sides = [together(sides[0], sides[1], (after - frame) / (after - before))]
        if not sides:
            return own, ""
        places = " and ".join(str(source) for source in (before, after) if source is not None)
        remark = f"its nuclei are too faint to be found alone; they are carried from frame {places}"
        return corrected(sides[0], own), remark

    def clear(self) -> NDArray[np.bool_]:
        """Which frames (f,) are clear; one that cannot be read is not."""
        if self._kept.clear is None:
            diameter = _NETWORK_DIAMETER_PX / float(self._job.scale)
            values = []
            for frame in range(self._info.t_size):
                image = self._image(frame)
                values.append(0.0 if image is None else clearness(image, diameter))
            self._kept.clear = clear_frames(values)
        return self._kept.clear

    def _image(self, frame: int) -> NDArray[Any] | None:
        """The channel in which nuclei are found (Y, X), in even light; None where it cannot be read."""
        from hcs.field.worker import lights_of  # noqa: PLC0415

        job, channel = self._job, self._job.channels.nuclei
        try:
            image: NDArray[Any] = read_field(job.plate, self._key.at(frame), channels=(channel,), z=job.config.z)[0]
        except FieldError:
            return None  # the frame's own task enters the failure
        if not np.isfinite(image).all():
            return None
        if job.illumination is None:
            return image
        name = job.channels.names[channel]
        return np.asarray(correct(image, lights_of(job.out, job.illumination, job.channels.names)[name]))

    def _labels(self, frame: int) -> Labels:
        """What the networks find in a clear frame."""
        return _through(self._kept.labels, frame, lambda: self._segmented(frame), lambda kept: len(kept) > _MOST_LABELS)

    def _segmented(self, frame: int) -> Labels:
        image = self._image(frame)
        assert image is not None  # it is clear
        job, segmenter = self._job, self._segmenter
        fill = find_fill(image[None])
        settings = job.config.instances.for_field(self._info.pixel_size_um, job.scale)
        mask = None if fill is None else fill.mask
        labels, _ = segmenter.nuclei(image, job.config.tiles, settings, scale=job.scale, fill=mask)
        return without_fill(labels, fill)

    def _carried(self, source: int, frame: int) -> Labels:
        flow = self._flow(source, frame)
        return self._labels(source) if flow is None else carried(self._labels(source), flow)

    def _flow(self, source: int, frame: int) -> Flow | None:
        """The flow from a frame to the clear one that masks come from, over all frames between that can be read."""
        step = 1 if frame > source else -1
        start, flow = source, None
        for middle in range(frame, source, -step):
            if (source, middle) in self._kept.flows:
                start, flow = middle, self._kept.flows[source, middle]
                break
        last: NDArray[np.uint8] | None = None
        for at, picture in self._levelled(range(start, frame + step, step)):
            if last is not None:
                one = step_flow(picture, last)
                flow = one if flow is None else added(one, flow)
                self._keep_flow(source, at, flow)
            last = picture
        return flow

    def _levelled(self, frames: range) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        for frame in frames:
            image = self._image(frame)
            if image is not None:
                yield frame, levelled(image, self._job.scale)

    def _keep_flow(self, source: int, frame: int, flow: Flow) -> None:
        most = max(_MOST_FLOW_BYTES // flow.nbytes, 1)
        _through(self._kept.flows, (source, frame), lambda: flow, lambda kept: len(kept) > most)


def _through(kept: OrderedDict[K, V], key: K, make: Callable[[], V], full: Callable[[OrderedDict[K, V]], bool]) -> V:
    """What is kept under a key, made where it is not; the oldest goes where there is too much."""
    if key not in kept:
        kept[key] = make()
    kept.move_to_end(key)
    while full(kept):
        kept.popitem(last=False)
    return kept[key]
