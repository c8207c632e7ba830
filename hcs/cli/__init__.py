"""The command line: options in, one function of the library each, sentences and exit codes out.

Imports of the work itself are inside the commands, so that ``hcs --help`` answers at once.
"""

from __future__ import annotations

import atexit
import gc
import io
import sys

import click

from hcs import __version__
from hcs.cli import audit, certificates, classify, config, correct, export, images, plan, plates, report, run
from hcs.cli.common import EXIT_BAD_INPUT, EXIT_INTERRUPTED
from hcs.errors import HcsError


def main() -> None:
    """Entry point of ``hcs``: exit 0 when all is fine, 1 when wells failed, 2 on bad input or usage."""
    # A process that ends would look for cycles in all that it ever imported, half a second after a run.
    atexit.register(gc.freeze)
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files may be no text at all
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        sys.exit(commands.main(standalone_mode=False))
    except click.exceptions.Abort:
        click.echo("hcs: stopped; the same command goes on where it stopped", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_BAD_INPUT)
    except HcsError as error:
        click.echo(f"hcs: {error}", err=True)
        sys.exit(EXIT_BAD_INPUT)
    except OSError as error:  # a name of 300 characters, a folder without permission, an input that went away
        what = f" {str(error.filename)[:200]}" if error.filename else ""
        click.echo(f"hcs:{what} cannot be used ({error.strerror or error}); check the path and your access", err=True)
        sys.exit(EXIT_BAD_INPUT)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="hcs")
def commands() -> None:
    """Distributed processor for high-content screens.

    hcs finds and measures every nucleus of an OME-Zarr plate, and computes Z′ for each compound and the cell cycle. Try
    `hcs demo`.
    """


for command in (
    run.run,
    plan.plan,
    run.readout,
    run.status,
    correct.view,
    correct.remeasure,
    classify.classify,
    audit.audit_seams,
    report.report,
    images.segment,
    images.evaluate,
    images.train,
    plates.simulate,
    export.export,
    plates.convert,
    plates.demo,
    certificates.certificates,
    config.config,
):
    commands.add_command(command)
