"""`hcs certificates`: the key of a standing cluster."""

from __future__ import annotations

from pathlib import Path

import click

from hcs.cli.common import FOLDER


@click.command(short_help="Make the key of a standing cluster.")
@click.option("--out", "folder", type=FOLDER, required=True, help="New folder for cert.pem and key.pem.")
def certificates(folder: Path) -> int:
    """Make the key of a standing cluster: cert.pem and key.pem, in a folder that only you can read.

    Everybody who has these files can run programs on the cluster. Start scheduler and workers with them, then use `hcs
    run --scheduler tls://… --certificates OUT`. They answer to nobody else.
    """
    from hcs.engine.certificates import CERTIFICATE, KEY, YEARS, write_certificates

    write_certificates(folder)
    cert, key = folder / CERTIFICATE, folder / KEY
    with_them = f"--tls-ca-file {cert} --tls-cert {cert} --tls-key {key}"
    click.echo(f"{cert} and {key} are good for {YEARS} years.\n")
    click.echo(f"  dask scheduler --protocol tls {with_them}")
    click.echo(f"  dask worker tls://HOST:8786 --nworkers 16 --nthreads 1 --memory-limit 0 {with_them}")
    click.echo(f"  hcs run PLATE --out RESULTS --scheduler tls://HOST:8786 --certificates {folder}")
    return 0
