"""The one way kernels of this room are compiled. Alone in a file, for every kernel imports it and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function`` on its first call, without the GIL, and keep the machine code on disk.

    No parallel loops (a worker is one process with one thread) and no fast-math: sums are added in the order
    written, so that the same pixels give the same bytes on every machine of one kind.
    """
    return cast(Callable[P, R], numba.njit(cache=True, nogil=True, error_model="numpy")(function))
