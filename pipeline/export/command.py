"""`facetopix export` writes works as parquet or WebDataset shards, for people who train elsewhere.

    OUT/<domain>/<split>-000000.parquet    of data/split; works-000000.parquet of any other folder
    OUT/manifest.jsonl  stats.json  README.md

Every kept work of the folder is exported or left out with a reason: blocklist (only its id is written), licence.
Images keep their bytes.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline import layout
from pipeline.errors import BadInput
from pipeline.export import card
from pipeline.export.card import Format
from pipeline.export.columns import Kind, kinds_of, record_of
from pipeline.export.shards import ExportItem, ParquetShard, Shard, TarShard, pyarrow
from pipeline.images.folders import EXTENSIONS
from pipeline.runtime import manifest
from pipeline.runtime.files import output_dir, sha256, write_atomic
from pipeline.runtime.manifest import Row
from pipeline.takedown import blocklist
from pipeline.takedown.blocklist import Blocklist

UNSPLIT = "works"  # the name of shards where there are no splits
UNKNOWN = "(unknown)"


@dataclass(frozen=True)
class ExportFilter:
    """Decides which kept works of `src` are exported."""

    src: Path
    licences: Collection[str]  # empty = all
    blocked: Blocklist

    def reason(self, row: Row) -> str | None:
        """The reason why a work is left out; None = it is exported."""
        owner, slash, _ = str(row.get("source_id") or "").partition("/")
        source = str(row.get("source") or "")
        artists = [row.get("artist"), owner if slash and source in layout.SOURCES else None]
        ids = (str(row["id"]), str(row.get("parent") or row["id"]))
        if any(self.blocked.covers(id=id, source=source, artists=artists) for id in ids):
            return "blocklist"
        return "licence" if self.licences and row.get("licence") not in self.licences else None

    def rows(self) -> Iterator[Row]:
        """The rows of the exported works."""
        return (row for row in manifest.stream_kept(self.src) if self.reason(row) is None)


def run(
    src: Path,
    out: Path | None,
    *,
    format: Format,
    licences: Sequence[str],
    shard_size: int,
    blocked: Path,
    exports: Path,
    force: bool,
) -> dict[str, Any]:
    """Export the kept works of `src`, a folder with a manifest, to `out` (None: a folder of its name in `exports`).

    Returns:
        The stats of the export: inputs, kept (exported), dropped by reason, groups and shards, sources, licences.

    Raises:
        BadInput: no manifest, nothing to export, an image that is missing or not the one of its row, `out` exists
            (without `force`) or holds `src`, pyarrow is missing.
    """
    out = out or exports / f"{'-'.join(src.parts[-2:] if src.parent.name == 'raw' else src.parts[-1:])}-{format}"
    _require_free(out, src, force)
    if format == "parquet":
        pyarrow()
    selection = ExportFilter(src, frozenset(licences), blocklist.load(blocked))
    if next(selection.rows(), None) is None:
        raise BadInput(f"{src}: nothing to export: no kept work passes the blocklist and --licence {list(licences)}")
    kinds = kinds_of(map(record_of, selection.rows()))
    with output_dir(out) as folder:
        shards = ShardSet(folder, format, shard_size, kinds)
        stats = manifest.write_streamed(folder, _exported(selection, shards))
        stats = {**stats, **_facts(selection, format), "groups": shards.close()}
        manifest.write_json(folder / "stats.json", stats)
        write_atomic(folder / "README.md", card.text(stats).encode())
    return {**stats, "out": str(out)}


def _require_free(out: Path, src: Path, force: bool) -> None:
    if src.resolve().is_relative_to(out.resolve()) or out.resolve().is_relative_to(src.resolve()):
        raise BadInput(f"{out}: is, holds or lies in {src}, which is exported; choose another folder")
    if out.exists() and not force:
        raise BadInput(f"{out}: exists; --force replaces it")
    if out.exists() and not (out / "stats.json").is_file():
        raise BadInput(f"{out}: is no export, and is not replaced; choose another folder")


def _exported(selection: ExportFilter, shards: ShardSet) -> Iterator[tuple[str, list[Row]]]:
    for row in manifest.stream_kept(selection.src):
        if (reason := selection.reason(row)) is None:
            path = _image(selection.src, row)
            group = f"{row['domain']}/{row['split']}" if row.get("split") else UNSPLIT
            shard = shards.add(group, ExportItem(f"{row['id']}{path.suffix}", _bytes(path, row), record_of(row)))
            yield row["id"], [{**record_of(row), "shard": shard, "status": "kept", "reason": None}]
        else:
            record = {} if reason == "blocklist" else record_of(row)
            yield row["id"], [{**record, "id": row["id"], "status": "dropped", "reason": reason}]


def _image(src: Path, row: Row) -> Path:
    """The file of a work's image: named by split and id, by id, or (as a gallery served it) by hash."""
    if row.get("split"):
        return src / str(row["domain"]) / str(row["split"]) / f"{row['id']}.png"
    processed = src / "images" / f"{row['id']}.png"
    if processed.is_file() or not row.get("sha256") or not row.get("format"):
        return processed
    extension = EXTENSIONS.get(str(row["format"]).upper(), "png")
    return src / "images" / f"{row['sha256']}.{extension}"


def _bytes(path: Path, row: Row) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise BadInput(f"{path}: the image of {row['id']} is missing; run the stage that makes it again") from error
    if path.stem == row.get("sha256") and hashlib.sha256(data).hexdigest() != path.stem:
        raise BadInput(f"{path}: its bytes are not those that were fetched for {row['id']}: the file is damaged")
    return data


def _facts(selection: ExportFilter, format: Format) -> dict[str, Any]:
    sources: Counter[str] = Counter()
    licences: Counter[str] = Counter()
    for row in selection.rows():
        sources[str(row.get("source") or UNKNOWN)] += 1
        licences[str(row.get("licence") or UNKNOWN)] += 1
    return {
        "from": selection.src.as_posix(),
        "format": format,
        "version": version("facetopix"),
        "only_licences": sorted(selection.licences),
        "sources": dict(sorted(sources.items())),
        "licences": dict(sorted(licences.items())),
    }


@dataclass
class ShardSet:
    """The shards of an export, a numbered series for each group of works, e.g. pixel/train."""

    folder: Path
    format: Format
    size: int  # works a shard
    kinds: dict[str, Kind]
    open: dict[str, Shard] = field(default_factory=dict)
    works: dict[str, dict[str, int]] = field(default_factory=dict)  # group -> name of each of its shards -> works

    def add(self, group: str, item: ExportItem) -> str:
        """Add a work; returns the name of its shard."""
        shards = self.works.setdefault(group, {})
        name = next(reversed(shards), None)
        if name is None or shards[name] == self.size:
            name = f"{group}-{len(shards):06d}.{'tar' if self.format == 'webdataset' else 'parquet'}"
            self._open(group, name)
        self.open[group].add(item)
        shards[name] = shards.get(name, 0) + 1
        return name

    def _open(self, group: str, name: str) -> None:
        if group in self.open:
            self.open[group].close()
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self.open[group] = (TarShard if self.format == "webdataset" else ParquetShard)(path, self.kinds)

    def close(self) -> dict[str, Any]:
        """Close all shards; returns group -> works, and each shard's name, works and hash."""
        for shard in self.open.values():
            shard.close()
        return {
            group: {"works": sum(shards.values()), "shards": self._shards(shards)}
            for group, shards in sorted(self.works.items())
        }

    def _shards(self, shards: Mapping[str, int]) -> list[dict[str, Any]]:
        return [{"name": name, "works": works, "sha256": sha256(self.folder / name)} for name, works in shards.items()]
