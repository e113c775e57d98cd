"""Learning curves, written by DVCLive while the training runs; the same bytes with and without a resume."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from dvclive.live import Live

Record = Mapping[str, float]  # `step`, `epoch`, and metrics by name


@contextmanager
def begin(folder: Path, log: Sequence[Record]) -> Iterator[Callable[[Record], None]]:
    """Begin the curves in a folder with the records of the log: what a killed run wrote beyond them is removed.

    Yields a function that appends a record: to `plots/metrics/train/<metric>.tsv` of each of its metrics, for `tail -f`
    and `dvc plots show`, and to a summary of the last.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with Live(str(folder), save_dvc_exp=False, dvcyaml=None, report=None) as live:

        def add(record: Record) -> None:
            live.step = int(record["step"])
            for name in sorted(record.keys() - {"step", "epoch"}):
                live.log_metric(f"train/{name}", record[name])
            live.make_summary()

        for record in log:
            add(record)
        yield add
