"""The tasks of a field in blocks, as a graph: the scheduler sees names, numbers and seconds, no pixels."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from hcs.field.blocks import BlockTask, find_block, settle_owners, settle_statistics, take_statistics
from hcs.field.cells import finish_field, measure_cell
from hcs.field.job import Job
from hcs.field.large import LargeField
from hcs.plate.keys import FieldKey

if TYPE_CHECKING:
    from distributed import Client


def submit_blocks(client: Client, job: Job, key: FieldKey, large: LargeField, *, group: str) -> Any:
    """Have the workers process a field in blocks; a future of its ledger entry, which fails as any of its tasks does.

    The order of tasks: statistics of all windows, nuclei of all blocks, who owns which, labels and measurements of all
    cells, the entry. ``group`` tells this attempt's tasks from others'.
    """
    task = BlockTask(job.for_field(key), key, large)

    def submit(function: Any, *arguments: Any, i: int = 0) -> Any:
        name = f"{group}-{key.well}-{key.field}-{function.__name__}"
        return client.submit(function, task, *arguments, pure=False, key=(name, i))

    windows = [submit(take_statistics, i, i=i) for i in range(len(large.windows))]
    known = submit(settle_statistics, windows)
    blocks = [submit(find_block, known, i, i=i) for i in range(len(large.blocks))]
    owners = submit(settle_owners, blocks)
    cells = [submit(measure_cell, known, owners, i, i=i) for i in range(len(large.cells))]
    return submit(finish_field, known, [*windows, *blocks, *cells])


def refusal(client: Client, large: LargeField) -> str | None:
    """Why the workers cannot process this field: the smallest has too little memory; None where they can.

    A worker without a limit of its own has an equal share of its machine.
    """
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    on_host = Counter(worker["host"] for worker in workers)
    memory = [worker["memory_limit"] or large.machine_bytes // on_host[worker["host"]] for worker in workers]
    if not memory or min(memory) >= large.projected_bytes:
        return None
    return (
        f"a worker needs {large.projected_bytes / 1e9:.1f} GB for its blocks and the smallest of {len(memory)} has "
        f"{min(memory) / 1e9:.1f} GB; use fewer workers, or a smaller tiles.block_px or tiles.size_px"
    )
