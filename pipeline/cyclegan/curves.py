"""Learning curves through DVCLive, while the training runs; the same bytes with and without a resume."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from dvclive.live import Live

Record = Mapping[str, float]  # `step`, `epoch`, and metrics by name


class Curves:
    """Writes a point of every metric a record: `plots/metrics/train/<metric>.tsv`, and the last one's summary."""

    def __init__(self, live: Live) -> None:
        self.live = live

    def add(self, record: Record) -> None:
        self.live.step = int(record["step"])
        for name in sorted(record.keys() - {"step", "epoch"}):
            self.live.log_metric(f"train/{name}", record[name])
        self.live.make_summary()  # type: ignore[no-untyped-call]


@contextmanager
def drawn(folder: Path, log: Sequence[Record]) -> Iterator[Curves]:
    """Curves in `folder`, begun with what the log already holds: what a killed run wrote beyond it is forgotten."""
    shutil.rmtree(folder, ignore_errors=True)
    with Live(str(folder), save_dvc_exp=False, dvcyaml=None, report=None) as live:
        curves = Curves(live)
        for record in log:
            curves.add(record)
        yield curves


def place(folder: Path) -> str:
    """Where the curves are, for `tail -f` and `dvc plots show`."""
    return str(folder / "plots" / "metrics" / "train")
