"""Who may talk to a dask scheduler. A connection is code run as the user, so every one is encrypted and needs the key:
of a run's own cluster one that is drawn for it and kept in memory, of a standing one that of a folder."""

from __future__ import annotations

import datetime
import ipaddress
import os
from pathlib import Path
from typing import TYPE_CHECKING

from hcs.errors import ConfigError
from hcs.store.atomic import cannot_write

if TYPE_CHECKING:
    from distributed.security import Security

CERTIFICATE, KEY = "cert.pem", "key.pem"
"""Files of a folder of certificates; the certificate is its own authority."""
YEARS = 5
"""How long the certificates of a standing cluster are good for."""

_SAFE = ("tls", "wss", "inproc")
_NAME = "hcs"


def new_certificate(*, days: int) -> tuple[str, str]:
    """A certificate, signed by itself, and its key (NIST P-256), as PEM: good for ``days`` from yesterday on, for
    clocks differ.

    `distributed.security.Security.temporary` makes the like with RSA, which takes a tenth of a second.
    """
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _NAME)])
    now = datetime.datetime.now(tz=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(_NAME)]), critical=False)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


def write_certificates(folder: Path) -> None:
    """Make ``cert.pem`` and ``key.pem`` in a new ``folder`` that nobody else can read; ConfigError where they are there
    already, for the workers of a running cluster hold the old ones."""
    for name in (CERTIFICATE, KEY):
        if (folder / name).exists():
            raise ConfigError(f"{folder / name} is there already; use it, or give another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, text in zip((CERTIFICATE, KEY), new_certificate(days=365 * YEARS), strict=True):
            with os.fdopen(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(text)
    except OSError as error:
        raise cannot_write(folder, error) from error


def temporary_security() -> Security:
    """What a run's own cluster is secured with: a certificate of its own, in memory, gone with it."""
    return _security(*new_certificate(days=365))


def security_of(folder: Path) -> Security:
    """What a standing cluster is secured with, from a folder of `write_certificates`; ConfigError where it has none."""
    for name in (CERTIFICATE, KEY):
        if not (folder / name).is_file():
            raise ConfigError(
                f"--certificates {folder} holds no {name}; `hcs certificates --out {folder}` makes both, for "
                "scheduler, workers and run alike"
            )
    return _security(str(folder / CERTIFICATE), str(folder / KEY))


def _security(certificate: str, key: str) -> Security:
    """One certificate and key, as PEM or paths, for all roles."""
    from distributed.security import Security  # noqa: PLC0415

    roles = {f"tls_{role}_cert": certificate for role in ("client", "scheduler", "worker")}
    roles |= {f"tls_{role}_key": key for role in ("client", "scheduler", "worker")}
    return Security(require_encryption=True, tls_ca_file=certificate, **roles)


def security_for(address: str, certificates: Path | None, *, unencrypted: bool) -> Security | None:
    """What a client needs to reach the scheduler at ``address``: the certificates of a folder, or those that dask's own
    configuration names; None where nothing is encrypted.

    ConfigError where certificates are missing, and for an unencrypted address that others can reach too, unless
    ``unencrypted`` says that this is meant.
    """
    if is_encrypted(address):
        if certificates is not None:
            return security_of(certificates)
        return _configured(address)
    if certificates is not None:
        raise ConfigError(
            f"--certificates goes with tls://, and --scheduler {address} is not encrypted; start the "
            "scheduler with the certificates and give the address it prints"
        )
    if not unencrypted and not is_loopback(address):
        raise ConfigError(
            f"--scheduler {address} is not encrypted: whoever reaches it over the network can run programs as you. "
            "Start scheduler and workers with certificates (`hcs certificates --out DIR`, see deploy/README.md) and "
            "give tls://… with --certificates DIR; or, where nobody else is on that network, add --unencrypted"
        )
    return None


def _configured(address: str) -> Security:
    from distributed.security import Security  # noqa: PLC0415

    found = Security(require_encryption=True)
    role = found.get_tls_config_for_role("client")
    if not (role["ca_file"] and role["cert"]):
        raise ConfigError(
            f"--scheduler {address} is encrypted; give --certificates DIR, the folder that the scheduler was started "
            "with, or set distributed.comm.tls of dask's configuration"
        )
    return found


def is_encrypted(address: str) -> bool:
    """Whether traffic to a scheduler is encrypted, or never leaves the process."""
    return address.partition("://")[0].lower() in _SAFE if "://" in address else False


def is_loopback(address: str) -> bool:
    """Whether an address is of this machine alone, such as ``tcp://127.0.0.1:8786``."""
    host = address.rpartition("://")[2].rpartition(":")[0].strip("[]")
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
