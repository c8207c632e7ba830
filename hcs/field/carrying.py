"""A movie whose nuclei lose their contrast, as a worker looks at it: which frames are clear, and, for a frame that is
not, nuclei followed from the clear frames around it.

A frame stays the unit of work. What a frame comes to depends on the pixels of its field alone: a worker looks through
the field's frames once, and again at the clear frames around a gap and at the faint ones in it. What it keeps meanwhile
saves time and changes nothing.
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
from hcs.segment.carry import Flow, added, around, clear_frames, clearness, levelled, step_flow
from hcs.segment.faint import Film, Gap
from hcs.segment.paths import Objects
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
_MOST_OBJECTS = 64
_MOST_GAPS = 1
_MOST_FLOW_BYTES = 256 * 2**20


@dataclass(slots=True)
class _Kept:
    """What a worker keeps of the movie that it is at."""

    clear: NDArray[np.bool_] | None = None
    labels: OrderedDict[int, Labels] = field(default_factory=OrderedDict)
    objects: OrderedDict[int, Objects | None] = field(default_factory=OrderedDict)
    gaps: OrderedDict[tuple[int | None, int | None], Gap] = field(default_factory=OrderedDict)
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

    def nuclei(self, own: Labels, pixels: NDArray[Any], *, filled: bool) -> tuple[Labels, str]:
        """Labels (Y, X) of the key's frame, of which the networks gave ``own``, and a remark where they were followed.

        A clear frame has its own. In another, nuclei come from the clear frames before and after, with the frame's own
        outlines where it shows them. ``pixels`` (Y, X) are what the networks saw, ``filled`` whether some of them were
        not recorded.
        """
        frame = self._key.frame
        clear = self.clear()
        if not filled and find_fill(pixels[None]) is None:
            # The networks would say the same once more.
            self._keep_objects(frame, lambda: Objects.of(own))
        if clear[frame]:
            return own, ""
        film = Film(clear, self._labels, self._objects, self._flow, _NETWORK_DIAMETER_PX / float(self._job.scale))
        ends = around(frame, clear)
        gap = _through(self._kept.gaps, ends, lambda: Gap.around(frame, film), lambda kept: len(kept) > _MOST_GAPS)
        return gap.nuclei(frame, own, film)

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

    def _objects(self, frame: int) -> Objects | None:
        """What the networks find in any frame, nucleus by nucleus; None where it cannot be read."""
        image = None if frame in self._kept.objects else self._image(frame)
        return self._keep_objects(frame, lambda: None if image is None else Objects.of(self._found(image)))

    def _keep_objects(self, frame: int, make: Callable[[], Objects | None]) -> Objects | None:
        return _through(self._kept.objects, frame, make, lambda kept: len(kept) > _MOST_OBJECTS)

    def _segmented(self, frame: int) -> Labels:
        image = self._image(frame)
        assert image is not None  # it is clear
        return self._found(image)

    def _found(self, image: NDArray[Any]) -> Labels:
        job, segmenter = self._job, self._segmenter
        fill = find_fill(image[None])
        settings = job.config.instances.for_field(self._info.pixel_size_um, job.scale)
        mask = None if fill is None else fill.mask
        labels, _ = segmenter.nuclei(image, job.config.tiles, settings, scale=job.scale, fill=mask)
        return without_fill(labels, fill)

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
