"""Whether NVIDIA's compiler takes the kernels, on a machine without a GPU: types, code, registers, for an H200.

Every launch of `hcs.segment.device.instances` is compiled for the types of its arguments and linked to machine code,
and not run. Needs numba-cuda with its compiler: pip install 'numba-cuda[cu13]'. About 10 s:

    PYTHONPATH=. python benchmarks/gpu_compile.py
"""

from __future__ import annotations

import re
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numba import cuda, typeof

from hcs.segment.device.instances import instances_on_device
from hcs.segment.settings import InstanceSettings

CAPABILITY = (9, 0)


def machine_code(ptx: str) -> tuple[int, str]:
    """Bytes of machine code, and what the assembler says of it."""
    from cuda.bindings import nvjitlink  # noqa: PLC0415  comes with numba-cuda

    handle = nvjitlink.create(2, [f"-arch=sm_{CAPABILITY[0]}{CAPABILITY[1]}", "-verbose"])
    nvjitlink.add_data(handle, nvjitlink.InputType.PTX, ptx.encode(), len(ptx), "kernel")
    nvjitlink.complete(handle)
    size = nvjitlink.get_linked_cubin_size(handle)
    log = bytearray(nvjitlink.get_info_log_size(handle))
    nvjitlink.get_info_log(handle, log)
    return size, log.decode()


def main() -> None:
    """A line a kernel."""
    from numba.cuda import dispatcher  # noqa: PLC0415

    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=CAPABILITY)
    done: set[Any] = set()

    def compile_only(kernel: Any, *arguments: Any) -> None:
        name, types = kernel.py_func.__name__, tuple(typeof(argument) for argument in arguments)
        if (name, types) in done:
            return
        done.add((name, types))
        began = time.perf_counter()
        ptx, _ = cuda.compile_ptx(kernel.py_func, types, cc=CAPABILITY)
        size, said = machine_code(ptx)
        registers, spilled = re.search(r"Used (\d+) registers", said), re.search(r"(\d+) bytes spill stores", said)
        atomics = re.findall(r"(?:atom|red)\.\S+", ptx)
        print(
            f"{name:16s} {size:6d} B of machine code, {registers and registers[1]} registers, "
            f"{spilled[1] if spilled else 0} B spilled, {time.perf_counter() - began:.1f} s; "
            f"{', '.join(sorted(set(atomics))) or 'no atomic step'}"
        )

    field = np.random.default_rng(0).random((3, 64, 80)).astype(np.float32)
    instances_on_device(torch.from_numpy(field), InstanceSettings(), launch=compile_only)
    print(f"{len(done)} kernels compiled by numba-cuda for compute capability {CAPABILITY[0]}.{CAPABILITY[1]}")


if __name__ == "__main__":
    main()
