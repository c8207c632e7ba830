"""Nuclei of frames in which they are too faint to be found alone: from the clear frames before and after, by one of two
ways, whichever both sides agree on better in the middle of the gap.

Along the picture's movement (`hcs.segment.carry`): right where what is around the nuclei moves with them. On smooth
paths (`hcs.segment.paths`): right where nothing is to be followed, and corrected by what is found on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hcs.segment.carry import Flow, agree, around, carried, corrected, together
from hcs.segment.paths import ENDS, REACH, Labels, Objects, Paths, follow, nearness, overlap

_BETTER: Final = 0.05
"""How much better, as Dice, both sides must agree along the picture's movement for that to be preferred."""
_LEAST_CARRIED: Final = 0.6
_LEAST_FOLLOWED: Final = 0.5
"""Dice of both sides in the middle below which they tell of other nuclei: carried along the movement, and followed on
paths, where either side alone knows less of the middle than both together."""


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """A field over time, as what follows its nuclei looks at it."""

    clear: NDArray[np.bool_]
    """(f,) whether each frame is clear."""
    labels: Callable[[int], Labels]
    """What the networks find in a clear frame (Y, X)."""
    objects: Callable[[int], Objects | None]
    """The same of any frame; None where that cannot be read."""
    flow: Callable[[int, int], Flow | None]
    """The picture's movement from a frame (the second) to the clear one that masks come from; None for none."""
    diameter_px: float


@dataclass(frozen=True, slots=True, eq=False)
class Gap:
    """Faint frames in a row, and how their nuclei are followed."""

    before: int | None
    after: int | None
    paths: Paths | None
    """None where nuclei are carried along the picture's movement."""
    believed: bool

    @classmethod
    def around(cls, frame: int, film: Film) -> Gap:
        """That of a faint frame. What it comes to is the same for all its frames."""
        before, after = around(frame, film.clear)
        if before is None and after is None:
            return cls(None, None, None, believed=False)
        if before is None or after is None:
            return cls(before, after, None, believed=True)
        paths = _paths(before, after, film)
        sides = [_carried(film, source, (before + after) // 2) for source in (before, after)]
        agreement = overlap(sides[0], sides[1])
        if agreement >= _LEAST_CARRIED and agreement > paths.agreement + _BETTER:
            return cls(before, after, None, believed=True)
        return cls(before, after, paths, believed=paths.agreement >= _LEAST_FOLLOWED)

    def nuclei(self, frame: int, own: Labels, film: Film) -> tuple[Labels, str]:
        """Labels (Y, X) of one of its frames, in which the networks find ``own``, and what is to be said of them."""
        ends = [source for source in (self.before, self.after) if source is not None]
        if not ends:
            return own, ""
        found = self._followed(frame, ends, film) if self.believed else None
        if found is None:
            return own, (
                f"its nuclei are faint, and those carried from frame {self.before} and {self.after} do not agree: they "
                "move too far from frame to frame; film more often"
            )
        places = " and ".join(str(source) for source in ends)
        return corrected(found, own), (
            f"its nuclei are too faint to be found alone; they are carried from frame {places}"
        )

    def _followed(self, frame: int, ends: list[int], film: Film) -> Labels | None:
        """Labels (Y, X) of a frame; None where both sides tell of other nuclei."""
        if self.paths is not None:
            return self.paths.at(frame)
        sides = [_carried(film, source, frame) for source in ends]
        if len(sides) == 1:
            return sides[0]
        return together(sides[0], sides[1], nearness(frame, *ends)) if agree(sides[0], sides[1]) else None


def _paths(before: int, after: int, film: Film) -> Paths:
    """The nuclei's paths through a gap."""
    early = _row(range(before, max(before - ENDS, -1), -1), film.clear)[::-1]
    late = _row(range(after, min(after + ENDS, len(film.clear))), film.clear)
    between = [k for k in range(before + 1, after) if min(k - before, after - k) <= REACH]
    found = {k: objects for k in (*early, *between, *late) for objects in [film.objects(k)] if objects is not None}
    return follow(found, early, late, diameter_px=film.diameter_px)


def _row(frames: range, clear: NDArray[np.bool_]) -> list[int]:
    """The frames in turn as long as they are clear."""
    row: list[int] = []
    for k in frames:
        if not clear[k]:
            break
        row.append(k)
    return row


def _carried(film: Film, source: int, frame: int) -> Labels:
    flow = film.flow(source, frame)
    return film.labels(source) if flow is None else carried(film.labels(source), flow)
