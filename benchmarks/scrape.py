"""How fast a crawl is beside a bare HTTP loop and a plain scraper, how much memory it takes, how it keeps a pace.

    python benchmarks/scrape.py [--items 20000] [--pace 0.05] [--json FILE]

All three ask the same server for the same addresses, one after another, each in a process of its own, and their order
is reversed for the second, larger round. Exit code 1 when a figure misses what is demanded of it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import replica
from demands import Demand

HERE = Path(__file__).parent
ORDER = ("bare", "plain", "crawl")
SMALLER = 10  # the first round has so many times fewer works
PACED_SECONDS = 20.0
OF_BARE, OF_PLAIN, OF_PACE = 0.5, 0.85, 0.95  # least shares of the other's requests a second
FLAT = 1.2  # most that the peak memory may grow between the rounds


@dataclass(frozen=True)
class Run:
    """One contestant against one replica."""

    source: str
    contestant: str
    items: int
    delay: float  # seconds, Crawl-delay of the replica's robots.txt
    requests: int
    seconds: float
    cpu: float  # seconds of the contestant's own process
    peak_mb: float
    shortest_gap: float  # seconds between two arrivals at the server
    calm: float  # requests a second in the best tenth of the run, when the machine did little else

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


@contextmanager
def replicas(source: str, items: int, delay: float) -> Iterator[str]:
    """The address of a replica in a process of its own."""
    command = [
        sys.executable,
        str(HERE / "replica.py"),
        "--source",
        source,
        "--items",
        str(items),
        "--delay",
        str(delay),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def measure(contestant: str, source: str, items: int, url: str, delay: float = 0.0) -> Run:
    """Raises RuntimeError when the contestant asked for anything but the plan."""
    with tempfile.TemporaryDirectory(prefix="facetopix-benchmark-") as folder:
        command = [sys.executable, str(HERE / "contestants.py"), contestant, source, url, str(items), folder]
        process = subprocess.run(
            command, stdout=subprocess.PIPE, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
    with urllib.request.urlopen(f"{url}/replica/asked") as answer:
        log = json.load(answer)
    expected = [replica.fingerprint(request) for request in replica.plan(source, items)]
    if (log["requests"], log["checksum"]) != (len(expected), sum(expected)):
        raise RuntimeError(f"{contestant}: {log['requests']} requests, not the {len(expected)} of the plan")
    figures = json.loads(process.stdout)
    slices = sorted(later - earlier for earlier, later in itertools.pairwise(log["marks"]))
    calm = replica.SLICE / slices[len(slices) // 10] if slices else log["requests"] / figures["seconds"]
    gap = log["shortest_gap"]
    return Run(source, contestant, items, delay, log["requests"], **figures, shortest_gap=gap, calm=calm)


def rounds(source: str, items: int) -> Iterator[Run]:
    """Fewer works first, then all of them in the reverse order."""
    for count, order in ((max(1, items // SMALLER), ORDER), (items, ORDER[::-1])):
        with replicas(source, count, 0.0) as url:
            for contestant in order:
                yield measure(contestant, source, count, url)


def paced(source: str, items: int, delay: float) -> Run:
    """A crawl with a Crawl-delay, of at most `items` works and about PACED_SECONDS."""
    each = 2 if source == "lospec" else 1
    count = max(1, min(items, int(PACED_SECONDS / delay / each)))
    with replicas(source, count, delay) as url:
        return measure("crawl", source, count, url, delay)


def demands(runs: Sequence[Run]) -> list[Demand]:
    """What the runs of one source show."""
    paced_run = next(run for run in runs if run.delay)
    small, large = ({run.contestant: run for run in runs[start : start + 3]} for start in (0, 3))
    crawl = large["crawl"]
    return [
        Demand("crawl / bare, requests a second", crawl.rate / large["bare"].rate, least=OF_BARE),
        Demand("crawl / plain, requests a second", crawl.rate / large["plain"].rate, least=OF_PLAIN),
        Demand("crawl / bare, best tenths", crawl.calm / large["bare"].calm),
        Demand("crawl / plain, best tenths", crawl.calm / large["plain"].calm),
        Demand("peak memory, large / small", crawl.peak_mb / small["crawl"].peak_mb, most=FLAT),
        Demand("rate / pace", paced_run.rate * paced_run.delay, least=OF_PACE),
    ]


def table(runs: Sequence[Run], rows: Sequence[tuple[str, Demand]]) -> str:
    lines = [
        "| gallery | loop | works | requests | requests/s | best tenth | CPU, ms/request | peak, MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        name = f"{run.contestant}, {run.delay} s pace" if run.delay else run.contestant
        rates = f"{run.rate:.0f} | {run.calm:.0f}"
        cells = (run.source, name, run.items, run.requests, rates, f"{1000 * run.cpu / run.requests:.2f}")
        lines.append("| " + " | ".join(map(str, cells)) + f" | {run.peak_mb:.0f} |")
    lines += ["", "| gallery | figure | measured | demanded | |", "|---" * 5 + "|"]
    for source, demand in rows:
        missed = "" if demand.met else "MISSED"
        lines.append(f"| {source} | {demand.what} | {demand.value:.2f} | {demand.bound} | {missed} |")
    return "\n".join(lines)


def hardware() -> str:
    machine = f"{os.cpu_count()} CPUs ({platform.machine()}), {platform.system()}, Python {platform.python_version()}"
    return f"{machine}, {1000 * sync_seconds():.2f} ms to write and sync a small file"


def sync_seconds(files: int = 200) -> float:
    """Median of writing 1 KB and waiting for the disk: what every work costs plain and crawl, and bare nothing."""
    took = []
    with tempfile.TemporaryDirectory(prefix="facetopix-benchmark-") as folder:
        for number in range(files):
            began = time.perf_counter()
            with Path(folder, str(number)).open("wb") as file:
                file.write(bytes(1024))
                file.flush()
                os.fsync(file.fileno())
            took.append(time.perf_counter() - began)
    return statistics.median(took)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--items", type=int, default=20_000, help="works of the larger round")
    parser.add_argument("--pace", type=float, default=0.05, help="seconds between two requests of the paced crawl")
    parser.add_argument("--sources", nargs="+", choices=sorted(replica.BATCH), default=sorted(replica.BATCH))
    parser.add_argument("--json", type=Path, help="write all figures there")
    options = parser.parse_args(arguments)
    runs: list[Run] = []
    rows: list[tuple[str, Demand]] = []
    for source in options.sources:
        source_runs = [*rounds(source, options.items), paced(source, options.items, options.pace)]
        runs += source_runs
        rows += [(source, demand) for demand in demands(source_runs)]
    setting = f"{hardware()}, {datetime.now(UTC):%Y-%m-%d}"
    print(f"{setting}\n\n{table(runs, rows)}")  # noqa: T201
    if options.json:
        figures = [{"source": source, **asdict(demand), "met": demand.met} for source, demand in rows]
        report = {"setting": setting, "runs": [asdict(run) for run in runs], "demands": figures}
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0 if all(demand.met for _, demand in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
