"""`hcs classify`: kinds of nuclei, taught by examples, as readouts of a results folder.

Alone in a file because it is one command: examples in, what they are worth said, and the readouts made again with them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from hcs.errors import ConfigError
from hcs.readout.readouts import Readouts
from hcs.readout.wells.classes import fraction_names, keys_of, read_examples
from hcs.run.classes import EXAMPLES, taught_by
from hcs.run.finish import finish
from hcs.store.atomic import write_text
from hcs.store.location import Location
from hcs.store.results.folder import open_results


def classify_results(place: Location, path: Path, *, say: Callable[[str], None] = print) -> Readouts:
    """Teach the nuclei's classes by the examples ``path``, say how well, keep the examples in the results folder, and
    make its readouts again; ConfigError, before anything is written, where the examples are too few."""
    try:
        frame = pd.read_csv(path, dtype="str")
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ConfigError(
            f"--examples {path} cannot be read ({error}); give a CSV with the columns nucleus (such as B03/0/17) and "
            "class"
        ) from error
    results = open_results(place)
    examples = read_examples(frame, f"--examples {path}", timed=results.record.time is not None)
    taught = taught_by(results, examples, f"--examples {path}")
    fraction_names(taught.classes)
    for line in taught.lines():
        say(line)
    write_text(place / EXAMPLES, examples[[*keys_of(examples), "class"]].to_csv(index=False))
    return finish(place)
