"""A stage of curation in a process of its own that imports nothing else, and what it cost; see curate.py."""

from __future__ import annotations

import importlib
import json
import logging
import os
import re
import resource
import sys
from pathlib import Path
from typing import Any

from pipeline.params import Params, load
from pipeline.runtime.settings import Executor

ROOT = Path(__file__).parents[1]


def work(stage: str, src: Path, out: Path, state: Path, params: Params) -> dict[str, Any]:
    """Run a stage in this process; what it cost and how much of it was remembered."""
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("pipeline").addHandler(handler)
    logging.getLogger("pipeline").setLevel(logging.INFO)
    began = _spent()
    _run(stage, src, out, state, params)
    cpu = _spent() - began
    counts = re.compile(r"\w+: (\d+) images, (\d+) of them remembered")
    inputs, remembered = next(match.groups() for message in messages if (match := counts.fullmatch(message)))
    return {"cpu": cpu, "inputs": int(inputs), "remembered": int(remembered), "peak_mb": _peak_mb()}


def _run(stage: str, src: Path, out: Path, state: Path, params: Params) -> None:
    run, executor = importlib.import_module(_door(stage)).run, params.executor
    match stage:
        case "dedup":
            rules = params.dedup.model_copy(update={"overrides": os.devnull})
            run([src], out / stage, rules, executor, state)
        case "flatten":
            run(out / "dedup", out / stage, params.flatten, executor, state)
        case "grid":
            run(out / "flatten", out / stage, params.grid, executor, state)
        case "resize":
            run(out / "grid", out / stage, params.resize, executor, state)
        case "split":
            faces = src.parent / "faces"
            rest = params.split, params.seed, out / "dedup"
            run(out / "resize", faces, out / stage, *rest, executor=executor, state=state)


def _door(stage: str) -> str:
    package = f"pipeline.curate.{stage}"
    return f"{package}.stage" if stage in ("dedup", "faces", "split") else package


def _peak_mb() -> float:
    """Of this program alone, where the system tells: getrusage also counts the process that started it."""
    status = Path("/proc/self/status")
    if status.is_file() and (peak := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
        return int(peak[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def serve(params: Params) -> None:
    """Stages by the line, each in a fork of this process that tells its id, then its cost: null where it failed."""
    for stage in ("dedup", "flatten", "grid", "resize", "split"):
        importlib.import_module(_door(stage))
    for line in sys.stdin:
        if os.fork() == 0:
            stage, *folders = json.loads(line)
            os.write(1, f"{os.getpid()}\n".encode())
            os.write(1, json.dumps(work(stage, *map(Path, folders), params)).encode() + b"\n")
            os._exit(0)
        if os.wait()[1]:
            os.write(1, b"null\n")


if __name__ == "__main__":
    params = load(ROOT / "params.yaml").model_copy(update={"executor": Executor(backend="loky", n_jobs=1)})
    if len(sys.argv) == 1:
        serve(params)
    else:
        stage, *folders = sys.argv[1:]
        print(json.dumps(work(stage, *map(Path, folders), params)))  # noqa: T201
