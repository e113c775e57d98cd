"""Learning curves, written by DVCLive while the training runs; the same bytes with and without a resume."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from dvclive.live import Live

Record = Mapping[str, float]  # `step`, `epoch`, and metrics by name


class Curves:
    """A writer of curves: a point of each metric for every record, and a summary of the last."""

    def __init__(self, live: Live) -> None:
        self.live = live

    def add(self, record: Record) -> None:
        """Append a point to `plots/metrics/train/<metric>.tsv` of every metric of the record."""
        self.live.step = int(record["step"])
        for name in sorted(record.keys() - {"step", "epoch"}):
            self.live.log_metric(f"train/{name}", record[name])
        self.live.make_summary()  # type: ignore[no-untyped-call]


@contextmanager
def begin(folder: Path, log: Sequence[Record]) -> Iterator[Curves]:
    """Begin the curves in a folder with the records of the log: what a killed run wrote beyond them is removed."""
    shutil.rmtree(folder, ignore_errors=True)
    with Live(str(folder), save_dvc_exp=False, dvcyaml=None, report=None) as live:
        curves = Curves(live)
        for record in log:
            curves.add(record)
        yield curves


def location(folder: Path) -> str:
    """The folder of the curves' files, for `tail -f` and `dvc plots show`."""
    return str(folder / "plots" / "metrics" / "train")
