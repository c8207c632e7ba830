"""Tracks in the form of the Cell Tracking Challenge: a number for every nucleus, and a list of tracks without gaps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def challenge_tracks(track: Ints, frame: Ints, parent: dict[int, int]) -> tuple[Ints, Ints]:
    """Numbers (n,) of nuclei of tracks and frames (n,), and the list (p, 4) of number, first frame, last frame, parent.

    The Challenge knows no gaps: a nucleus that was missed in between is two numbers there, the later with the earlier
    as its parent. A parent of 0 is none. Numbers count from 1, by track and time.
    """
    order = np.lexsort((frame, track))
    number = np.zeros(len(track), np.int64)
    rows: list[list[int]] = []
    last_of: dict[int, int] = {}
    for k in order.tolist():
        mine, at = int(track[k]), int(frame[k])
        if mine in last_of and rows[last_of[mine] - 1][2] == at - 1:
            rows[last_of[mine] - 1][2] = at
        else:
            rows.append([len(rows) + 1, at, at, last_of.get(mine, -1)])
            last_of[mine] = len(rows)
        number[k] = last_of[mine]
    first = {int(track[k]): int(number[k]) for k in order[::-1].tolist()}
    for mine, begins in first.items():
        rows[begins - 1][3] = last_of.get(parent.get(mine, 0), 0)
    return number, np.array(rows, np.int64).reshape(-1, 4)
