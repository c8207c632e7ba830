"""Imports what workers need, for all of them: the process that local workers are forked from imports this module alone.

Alone in a file because to import it is all that is done with it.
"""

from __future__ import annotations

import contextlib
import gc
from importlib import import_module

from hcs.machine import uncollected

_IMPORTED = [
    *("torch", "numba", "zarr", "distributed.nanny"),
    *("hcs.segment.networks", "hcs.segment.predict", "hcs.pipeline", "hcs.store.plate.reader"),
    *("hcs.engine.kernels", "hcs.field.whole"),
]

with uncollected():
    for _name in _IMPORTED:
        with contextlib.suppress(ImportError):  # whatever is missing, the first field says it where it can be entered
            import_module(_name)
    gc.freeze()  # a worker would look through all of it whenever it collects, and copy the pages it looks at
