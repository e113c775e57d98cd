"""Time and memory that the stages took, in `.state/`: never in an output, which must be stable.

`runs.jsonl` is the record, a line a run; `runs.js` holds the same for the report page, which shows it if it is there.
"""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pipeline.runtime.files import write_atomic


@contextmanager
def recorded(stage: str, state: Path) -> Iterator[None]:
    """Time the block; append a line if it succeeds (of torchrun's processes the first does)."""
    if os.environ.get("RANK", "0") != "0":
        yield
        return
    start = time.monotonic()
    yield
    seconds = round(time.monotonic() - start, 2)
    entry = {
        "stage": stage,
        "seconds": seconds,
        "peak_mib": _peak_mib(),
        "finished": datetime.now(UTC).isoformat("T", "seconds"),
    }
    state.mkdir(parents=True, exist_ok=True)
    with (state / "runs.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry, sort_keys=True) + "\n")
    entries = (state / "runs.jsonl").read_text(encoding="utf-8").splitlines()
    write_atomic(state / "runs.js", f"window.facetopixRuns = [{','.join(entries)}];\n".encode())


def _peak_mib() -> int:
    """Largest resident set of this process or of one of its children so far, MiB."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(kind).ru_maxrss for kind in kinds) // 1024
