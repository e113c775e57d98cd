"""The README of an export: its contents, their owners, how to read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

Format = Literal["parquet", "webdataset"]

READ: dict[Format, str] = {
    "parquet": 'from datasets import load_dataset\nworks = load_dataset("path/of/this/folder"{config})\n',
    "webdataset": 'import webdataset\nworks = webdataset.WebDataset("{shard}").decode("pil")  # .png and .json\n',
}


def text(stats: Mapping[str, Any]) -> str:
    """The README as Markdown; `stats` are those of the export."""
    groups = [(f"`{name}-*`", group["works"], len(group["shards"])) for name, group in stats["groups"].items()]
    head = _front_matter(stats["groups"]) if stats["format"] == "parquet" else ""
    parts = [
        "# Export of pixel art data",
        f"{stats['kept']} works of `{stats['from']}` as {stats['format']}, made by facetopix {stats['version']}.",
        _table("Shards", ("group", "works", "shards"), groups),
        _table("Sources", ("source", "works"), _counts(stats["sources"])),
        _table("Licences", ("licence", "works"), _counts(stats["licences"])),
        "Every work belongs to its artist. Licence, artist, page and consent of each stand beside its image and in "
        "`manifest.jsonl`; `(unknown)` is no permission. Attribution goes where the works go.",
        _table("Left out", ("reason", "works"), _counts(stats["reasons"])) if stats["reasons"] else "",
        f"## Reading\n\n```python\n{_reading(stats)}```",
    ]
    return head + "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(groups: Mapping[str, Mapping[str, Any]]) -> str:
    """The header from which Hugging Face's datasets know the files of each split of each configuration."""
    lines = ["---", "configs:"]
    for config in sorted({_config(group) for group in groups}):
        lines += [f"- config_name: {config}", "  data_files:"]
        for group in groups:
            if _config(group) == config:
                lines += [f"  - split: {group.rpartition('/')[2]}", f"    path: {group}-*.parquet"]
    return "\n".join([*lines, "---", "", ""])


def _config(group: str) -> str:
    return group.rpartition("/")[0] or "default"


def _counts(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return [(_plain(name), count) for name, count in counts.items()]


def _plain(cell: str) -> str:
    """Text of others as one cell of a table."""
    return " ".join(cell.replace("|", "\\|").replace("<", "&lt;").split())


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in (head, ["---"] * len(head), *rows)]
    return f"## {title}\n\n" + "\n".join(lines)


def _reading(stats: Mapping[str, Any]) -> str:
    first = next(iter(stats["groups"]))
    config = "" if _config(first) == "default" else f', "{_config(first)}"'
    last = len(stats["groups"][first]["shards"]) - 1
    shard = f"{first}-{{{0:06d}..{last:06d}}}.tar"
    return READ[stats["format"]].replace("{config}", config).replace("{shard}", shard)
