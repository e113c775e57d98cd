"""Shards: files that hold many works each, the same bytes on every run."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from pipeline.errors import BadInput
from pipeline.export.columns import Kind, cell

BATCH = 100  # works of a row group of a table ...
BATCH_BYTES = 32 << 20  # ... or as many as have images of so many bytes together; no more are held in memory

LISTS = {"strings": "string", "ints": "int64"}  # kinds of columns that hold lists -> type of an item


class ExportItem(NamedTuple):
    """A work as a shard holds it."""

    name: str  # id and extension
    data: bytes  # the image file
    record: Mapping[str, Any]


class TarShard:
    """WebDataset: <id>.<extension> and <id>.json of each work, in a plain tar without times and owners."""

    def __init__(self, path: Path, _kinds: Mapping[str, Kind]) -> None:
        self._tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 (closed by close)

    def add(self, item: ExportItem) -> None:
        text = json.dumps(item.record, sort_keys=True, ensure_ascii=False) + "\n"
        self._file(item.name, item.data)
        self._file(f"{item.record['id']}.json", text.encode())

    def _file(self, name: str, data: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        self._tar.addfile(member, io.BytesIO(data))

    def close(self) -> None:
        self._tar.close()


class ParquetShard:
    """A row a work; `image` is {bytes, path}, which Hugging Face's datasets reads as an Image."""

    def __init__(self, path: Path, kinds: Mapping[str, Kind]) -> None:
        self._arrow = pyarrow()
        self._kinds = kinds
        self._waiting: list[dict[str, Any]] = []
        self._bytes = 0
        image = self._arrow.struct([("bytes", self._arrow.binary()), ("path", self._arrow.string())])
        self._schema = self._arrow.schema(
            [("image", image), *((name, self._type(kind)) for name, kind in kinds.items())],
            metadata={"huggingface": json.dumps({"info": {"features": features(kinds)}})},
        )
        self._file = self._arrow.parquet.ParquetWriter(path, self._schema, compression="zstd")

    def _type(self, kind: Kind) -> Any:
        plain = self._arrow.type_for_alias(_dtype(kind))
        return self._arrow.list_(plain) if kind in LISTS else plain

    def add(self, item: ExportItem) -> None:
        values = {name: cell(item.record.get(name), kind) for name, kind in self._kinds.items()}
        self._waiting.append({"image": {"bytes": item.data, "path": item.name}, **values})
        self._bytes += len(item.data)
        if len(self._waiting) == BATCH or self._bytes >= BATCH_BYTES:
            self._write()

    def _write(self) -> None:
        if self._waiting:
            self._file.write_table(self._arrow.Table.from_pylist(self._waiting, schema=self._schema))
            self._waiting, self._bytes = [], 0

    def close(self) -> None:
        self._write()
        self._file.close()


Shard = TarShard | ParquetShard  # a file of many works; complete once closed


def features(kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """The columns as Hugging Face's datasets describe them."""
    plain = {name: {"dtype": _dtype(kind), "_type": "Value"} for name, kind in kinds.items()}
    lists = {name: {"feature": plain[name], "_type": "List"} for name, kind in kinds.items() if kind in LISTS}
    return {"image": {"_type": "Image"}, **plain, **lists}


def _dtype(kind: Kind) -> str:
    """The type of a column's values, or of the items of its lists; JSON is text."""
    return "string" if kind == "json" else LISTS.get(kind, kind)


def pyarrow() -> ModuleType:
    """The library that writes parquet.

    Raises:
        BadInput: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise BadInput(
            "a parquet export needs pyarrow, which is not installed: install the extra `export` "
            "(uv sync --extra export, or pip install 'facetopix[export]'), or use --format webdataset"
        ) from error
    module: ModuleType = pyarrow
    return module
