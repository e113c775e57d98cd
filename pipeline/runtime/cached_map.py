"""A map over files whose results are remembered by content: streamed, in parallel, from the cache where it can.

The work is a pure function of a file's bytes and of declared facts. It knows no folder, no cache and no other file, so
it may run anywhere, and its result may be taken from an earlier run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

from pipeline.runtime.cache import Cache, CacheScope
from pipeline.runtime.parallel import stream_map, window_size
from pipeline.runtime.settings import Executor

Facts = Mapping[str, Any]
Tag = TypeVar("Tag")

WINDOW_BYTES = 64 * 2**20  # of input files that are in memory at once, twice


@dataclass(frozen=True)
class Item(Generic[Tag]):
    """A file on its way; the `tag` is the caller's, and no part of the result."""

    tag: Tag
    data: bytes
    facts: Facts


@dataclass
class _Window(Generic[Tag]):
    items: list[Item[Tag]] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    size: int = 0  # bytes
    remembered: dict[bytes, bytes] = field(default_factory=dict)

    def missing(self) -> list[tuple[bytes, Facts]]:
        together = zip(self.items, self.keys, strict=True)
        return [(item.data, item.facts) for item, key in together if key not in self.remembered]


def recall_map(
    work: Callable[[bytes, Facts], bytes],
    items: Iterable[Item[Tag]],
    known: CacheScope,
    memory: Cache,
    executor: Executor,
) -> Iterator[tuple[Tag, bytes]]:
    """Each item's tag with `work(data, facts)`, in order; two windows are in memory, each is remembered as a whole.

    Args:
        work: importable; its result is a value of the cache (`cache.pack`).
        known: what all results depend on beside their items.
    """
    windows = _windows(items, known, memory, window_size(executor))
    made = stream_map(partial(_work, work=work), ((window, window.missing()) for window in windows), executor)
    for window, results in made:
        fresh: dict[bytes, bytes] = {}
        for item, key in zip(window.items, window.keys, strict=True):
            value = window.remembered.get(key)
            if value is None:
                value = fresh[key] = next(results)
            yield item.tag, value
        memory.put(fresh)


def _work(item: tuple[bytes, Facts], work: Callable[[bytes, Facts], bytes]) -> bytes:
    return work(*item)


def _windows(items: Iterable[Item[Tag]], known: CacheScope, memory: Cache, count: int) -> Iterator[_Window[Tag]]:
    """Of at most `count` files and about WINDOW_BYTES."""
    window = _Window[Tag]()
    for item in items:
        window.items.append(item)
        window.keys.append(known.key(item.data, item.facts))
        window.size += len(item.data)
        if len(window.items) == count or window.size > WINDOW_BYTES:
            yield _recalled(window, memory)
            window = _Window[Tag]()
    if window.items:
        yield _recalled(window, memory)


def _recalled(window: _Window[Tag], memory: Cache) -> _Window[Tag]:
    window.remembered = memory.get(window.keys)
    return window
