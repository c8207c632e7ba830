"""The process that local workers are forked from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from hcs.engine import kernels
from hcs.engine.warm import ENVIRONMENT, START_METHOD
from hcs.measure import micronuclei

IMPORTS = """
import gc, json, os, sys
from hcs.engine.warm import _IMPORTED
for name in _IMPORTED:
    __import__(name)
imported = sorted({"pyarrow", "pandas"} & set(sys.modules))
print(json.dumps([len(os.listdir("/proc/self/task")), imported, gc.isenabled(), gc.get_freeze_count() > 10**5]))
"""
FORKED = """
import json, os
from hcs.engine.cluster import Workers, connect
def seen():
    import dask, sys
    from hcs.engine.warm import QUIET
    quiet = all(dask.config.get(key) == value for key, value in QUIET.items())
    return os.environ.get("HCS_TEST_LATE"), os.environ["OMP_NUM_THREADS"], "torch" in sys.modules, quiet, os.getppid()
if __name__ == "__main__":
    from hcs.engine.warm import warm_up
    warm_up()
    own = os.environ.get("OMP_NUM_THREADS")
    os.environ["HCS_TEST_LATE"] = "yes"
    with connect(Workers(count=2)) as client:
        print(json.dumps([list(client.run(seen).values()), os.getpid(), own]))
"""

pytestmark = pytest.mark.skipif(START_METHOD != "forkserver", reason="workers are forked on Linux only")


def run(code: str) -> list[object]:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    found: list[object] = json.loads(done.stdout)
    return found


def test_what_it_imports_starts_no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [1, ["pyarrow"], True, True]


def test_kernels_can_be_called() -> None:
    kernels.call_kernels()  # while it is imported, an error would be passed over


def test_what_finds_micronuclei_is_called_with_some_to_choose_from(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    real = micronuclei._apart

    def counted(order: Any, *rest: Any) -> Any:
        seen.append(len(rest[1]))
        return real(order, *rest)

    monkeypatch.setattr(micronuclei, "_apart", counted)
    kernels.call_kernels()
    assert sum(seen) > 0


def test_workers_come_from_it_and_have_todays_environment() -> None:
    workers, client, own = run(FORKED)
    assert isinstance(workers, list)
    for late, threads, torch_there, quiet, parent in workers:
        assert (late, threads, torch_there, quiet) == ("yes", "1", True, True)
        assert parent != client
    assert own is None
