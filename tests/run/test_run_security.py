"""Who may talk to the scheduler: whoever has the key of the cluster, and nobody else, on this machine or beyond."""

from __future__ import annotations

import os
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from distributed import Client
from distributed.security import Security
from helpers.run import Finished, call_hcs, table_bytes

from hcs.engine.certificates import (
    is_encrypted,
    is_loopback,
    security_for,
    security_of,
    temporary_security,
    write_certificates,
)
from hcs.engine.cluster import Workers, connect
from hcs.errors import ConfigError, ResultsError

STRANGER = """
import sys
from distributed import Client
from distributed.security import Security
from hcs.engine.certificates import temporary_security
kind, address = sys.argv[1:]
security = {"none": None, "other": temporary_security(), "loose": Security(require_encryption=False)}[kind]
try:
    with Client(address, timeout=5, security=security) as client:
        print("let in", client.submit(lambda: 42).result(timeout=5))
except Exception as error:
    print("kept out", type(error).__name__)
"""


def stranger(kind: str, address: str) -> str:
    """What a process without the key comes to."""
    done = subprocess.run(
        [sys.executable, "-c", STRANGER, kind, address], capture_output=True, text=True, check=False, timeout=120
    )
    return done.stdout


def test_a_local_run_lets_nobody_in_and_listens_on_this_machine_alone() -> None:
    with connect(Workers(count=1)) as client:
        address = client.scheduler.address
        assert address.startswith("tls://127.0.0.1:")
        assert client.submit(os.getpid).result(timeout=60) != os.getpid()
        me = psutil.Process()
        listening = [
            connection.laddr.ip
            for process in (me, *me.children(recursive=True))
            for connection in process.net_connections()
            if connection.status == psutil.CONN_LISTEN
        ]
        assert listening
        assert set(listening) == {"127.0.0.1"}
        for kind, place in (("none", address), ("other", address), ("loose", address.replace("tls:", "tcp:"))):
            assert stranger(kind, place).startswith("kept out"), kind


@contextmanager
def standing(folder: Path, log: Path) -> Iterator[str]:
    """A scheduler and a worker with the certificates in ``folder``, as separate processes; its address."""
    with_them = [f"--tls-ca-file={folder}/cert.pem", f"--tls-cert={folder}/cert.pem", f"--tls-key={folder}/key.pem"]
    file = log / "scheduler.json"
    here = ["--host", "127.0.0.1", "--no-dashboard"]
    dask = [sys.executable, "-m", "dask"]
    commands = (
        [*dask, "scheduler", "--protocol", "tls", "--port", "0", "--scheduler-file", str(file), *here, *with_them],
        [*dask, "worker", "--scheduler-file", str(file), "--nthreads", "1", *here, *with_them],
    )
    with (log / "dask.log").open("wb") as out:
        processes = [subprocess.Popen(command, stdout=out, stderr=out) for command in commands]
        try:
            deadline = time.monotonic() + 120
            while not (file.exists() and file.stat().st_size):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            with Client(scheduler_file=str(file), security=security_of(folder), timeout=60) as client:
                yield client.scheduler.address
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(60)


def test_a_standing_cluster_takes_those_with_its_certificates(finished: Finished, tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    shown = call_hcs("certificates", "--out", folder)
    assert shown.code == 0, shown.err
    assert "--tls-ca-file" in shown.out
    assert stat.S_IMODE((folder / "key.pem").stat().st_mode) == 0o600
    told = ("--plate-map", finished.files.plate_map, "--labels", "none")
    with standing(folder, tmp_path) as address:
        out = tmp_path / "r"
        ran = call_hcs(
            "run", finished.files.plate, "--out", out, *told, "--scheduler", address, "--certificates", folder
        )
        assert ran.code == 0, ran.err
        assert "not encrypted" not in ran.out
        assert stranger("none", address).startswith("kept out")
        other = tmp_path / "other"
        write_certificates(other)
        out = tmp_path / "s"
        kept = call_hcs(
            "run", finished.files.plate, "--out", out, *told, "--scheduler", address, "--certificates", other
        )
        assert kept.code == 2
        assert "no dask scheduler with these certificates answers there" in kept.err
        assert not out.exists()
    assert table_bytes(tmp_path / "r") == table_bytes(finished.out)


def test_certificates_of_a_running_cluster_are_not_replaced(tmp_path: Path) -> None:
    write_certificates(tmp_path / "tls")
    key = (tmp_path / "tls" / "key.pem").read_bytes()
    with pytest.raises(ConfigError, match="is there already"):
        write_certificates(tmp_path / "tls")
    assert (tmp_path / "tls" / "key.pem").read_bytes() == key
    (tmp_path / "file").write_text("x")
    with pytest.raises(ResultsError, match="cannot write"):
        write_certificates(tmp_path / "file" / "tls")


@pytest.mark.parametrize(
    "address",
    ["tcp://10.0.0.7:8786", "10.0.0.7:8786", "tcp://node17:8786", "ucx://node17:8786", "tcp://[fe80::1]:8786"],
)
def test_a_scheduler_that_others_reach_must_be_encrypted(address: str, finished: Finished, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"whoever reaches it .* can run programs as you.*--unencrypted"):
        Workers(scheduler=address)
    meant = Workers(scheduler=address, unencrypted=True)
    assert "is not encrypted: others on its network can run programs as you" in meant.notes()[0]


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:8786", "127.0.0.1:8786", "tcp://localhost:1", "tcp://[::1]:8786"])
def test_a_bare_scheduler_of_this_machine_gets_a_note(address: str) -> None:
    assert "other users of this machine can run programs as you" in Workers(scheduler=address).notes()[0]


def test_an_encrypted_scheduler_needs_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"is encrypted; give --certificates DIR"):
        Workers(scheduler="tls://node17:8786")
    with pytest.raises(ConfigError, match=r"holds no cert\.pem; `hcs certificates .*` makes both"):
        Workers(scheduler="tls://node17:8786", certificates=tmp_path)
    with pytest.raises(ConfigError, match=r"--certificates goes with tls://"):
        Workers(scheduler="tcp://127.0.0.1:8786", certificates=tmp_path)
    with pytest.raises(ConfigError, match="go with --scheduler"):
        Workers(certificates=tmp_path)
    write_certificates(tmp_path / "tls")
    assert Workers(scheduler="tls://node17:8786", certificates=tmp_path / "tls").notes() == ()
    import dask

    cert, key = (str(tmp_path / "tls" / name) for name in ("cert.pem", "key.pem"))
    tls = {"ca-file": cert, "client.cert": cert, "client.key": key}
    with dask.config.set({f"distributed.comm.tls.{name}": value for name, value in tls.items()}):
        found = security_for("tls://node17:8786", None, unencrypted=False)
    assert isinstance(found, Security)
    assert found.require_encryption


def test_what_an_address_tells() -> None:
    assert is_encrypted("tls://a:1")
    assert not is_encrypted("tcp://a:1")
    assert not is_encrypted("a:1")
    assert is_loopback("tcp://127.8.8.8:1")
    assert not is_loopback("tcp://127.0.0.1.example.org:1")
    assert not is_loopback("tcp://0.0.0.0:1")


def test_every_run_draws_its_own_key() -> None:
    one, two = temporary_security(), temporary_security()
    role = one.get_tls_config_for_role("worker")
    assert role != two.get_tls_config_for_role("worker")
    assert "BEGIN PRIVATE KEY" in role["key"]
    context = one.get_connection_args("client")["ssl_context"]
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
