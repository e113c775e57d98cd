"""The README's figures and its strip of pictures, made from a finished run by `facetopix report --readme`."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from pipeline.errors import BadInput
from pipeline.images import files, resample
from pipeline.report import funnel, showcase, verdicts
from pipeline.report.stage import read_scores
from pipeline.report.thumbnails import encode_png, fit
from pipeline.runtime import manifest
from pipeline.runtime.files import write_atomic

TILE = 128  # pixels a side of a picture of the strip
GAP = 8
LABEL = 22  # height of the line of names
COLUMNS = (
    "cell_error",
    "cells_within",
    "line_f1",
    "accents_chroma",
    "lone_cells",
    "face_accents",
    "grid_alignment",
    "comb_db",
    "colours",
    "retrieval",
)
INK, PAPER = (36, 41, 47), (255, 255, 255)


def write(root: Path, docs: Path) -> dict[str, Any]:
    """Write `docs/results.json` and `docs/strip.png`; returns the results.

    Raises:
        BadInput: no scores or no pictures of the strip below `root`.
    """
    results = {
        **read_scores(root),
        "hardware": hardware(),
        "commit": commit(root),
        "seconds": seconds(root),
        "funnel": [dataclasses.asdict(funnel.count(stage)) for stage in funnel.stages(root / "data")],
    }
    write_atomic(docs / "strip.png", strip(root))
    manifest.write_json(docs / "results.json", results)
    return results


def update(file: Path, results: Mapping[str, Any]) -> None:
    """Put the tables of `results` between the marks of a Markdown file; the rest of the file stays.

    Raises:
        BadInput: no such marks.
    """
    text = file.read_text(encoding="utf-8")
    for mark, content in (("methods", methods_table(results)), ("funnel", funnel_table(results))):
        start, end = f"<!-- {mark}: written by `facetopix report --readme` -->", f"<!-- end of {mark} -->"
        if start not in text or end not in text:
            raise BadInput(f"{file}: expected the marks {start!r} and {end!r}")
        before, _, tail = text.partition(start)
        text = f"{before}{start}\n{content}\n{end}{tail.partition(end)[2]}"
    write_atomic(file, text.encode())


def methods_table(results: Mapping[str, Any]) -> str:
    """The figures of every method as a Markdown table, in the order of the page."""
    metrics = [metric for metric in verdicts.metrics_of(results["methods"]) if metric.key in COLUMNS]
    head = "| method | " + " | ".join(f"{metric.name} {metric.better}".strip() for metric in metrics) + " |"
    rows = [head, "|---" * (len(metrics) + 1) + "|"]
    for key, (name, _) in showcase.NAMES.items():
        if scores := results["methods"].get(key):
            cells = " | ".join(verdicts.cell_text(metric, scores) for metric in metrics)
            rows.append(f"| {name} | {cells} |")
    return "\n".join(rows)


def funnel_table(results: Mapping[str, Any]) -> str:
    """Inputs of every stage and what became of them, as a Markdown table."""
    rows = ["| stage | in | kept | dropped | failed | reasons |", "|---|---|---|---|---|---|"]
    for stage in results["funnel"]:
        reasons = ", ".join(f"{reason} {count}" for reason, count in stage["reasons"].items())
        counts = " | ".join(str(stage[key]) for key in ("name", "inputs", "kept", "dropped", "failed"))
        rows.append(f"| {counts} | {reasons} |")
    return "\n".join(rows)


def strip(root: Path) -> bytes:
    """The hero pictures as a PNG: a column per method under its name, a row per face, no smoothing."""
    methods = [method for method in showcase.methods(root) if method.key in showcase.HERO]
    faces = showcase.faces(methods, showcase.HERO_FACES) if methods else []
    if not faces:
        raise BadInput(f"{root}: no pictures of test faces to make a strip of; run the evaluate stage first")
    size = len(methods) * (TILE + GAP) - GAP, LABEL + len(faces) * (TILE + GAP) - GAP
    canvas = Image.new("RGB", size, PAPER)
    font = ImageFont.load_default(14)
    for column, method in enumerate(methods):
        left = column * (TILE + GAP)
        ImageDraw.Draw(canvas).text((left + TILE // 2, 4), method.name, INK, font, anchor="mt")
        for row, path in enumerate(showcase.paths(method, faces)):
            if path is not None:
                tile = resample.enlarge(*fit(files.read_rgb(path), TILE))
                canvas.paste(Image.fromarray(tile), (left, LABEL + row * (TILE + GAP)))
    return encode_png(canvas)


def hardware() -> dict[str, Any]:
    """CPU model, cores this process may use, memory in GiB, operating system."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def commit(root: Path) -> str | None:
    """The checked-out commit; None outside a git repository."""
    done = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def seconds(root: Path) -> dict[str, float]:
    """Latest duration of each stage, from `.state/runs.jsonl`; empty when there is no such log."""
    log = root / ".state" / "runs.jsonl"
    if not log.is_file():
        return {}
    runs = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return {run["stage"]: round(run["seconds"], 1) for run in runs}


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
