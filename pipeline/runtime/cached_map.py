"""A map over files whose results are cached by content: streamed, in parallel.

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
    cached: dict[bytes, bytes] = field(default_factory=dict)

    def missing(self) -> list[tuple[bytes, Facts]]:
        pairs = zip(self.items, self.keys, strict=True)
        return [(item.data, item.facts) for item, key in pairs if key not in self.cached]


def cached_map(
    work: Callable[[bytes, Facts], bytes],
    items: Iterable[Item[Tag]],
    scope: CacheScope,
    cache: Cache,
    executor: Executor,
) -> Iterator[tuple[Tag, bytes]]:
    """Each item's tag with `work(data, facts)`, in order; two windows are in memory, each is stored as a whole.

    Args:
        work: importable; its result is a value of the cache (`cache.pack`).
        scope: what all results depend on beside their items.
    """
    windows = _windows(items, scope, cache, window_size(executor))
    tasks = ((window, window.missing()) for window in windows)
    for window, results in stream_map(partial(_work, work=work), tasks, executor):
        fresh: dict[bytes, bytes] = {}
        for item, key in zip(window.items, window.keys, strict=True):
            value = window.cached.get(key)
            if value is None:
                value = fresh[key] = next(results)
            yield item.tag, value
        cache.put(fresh)


def _work(item: tuple[bytes, Facts], work: Callable[[bytes, Facts], bytes]) -> bytes:
    return work(*item)


def _windows(items: Iterable[Item[Tag]], scope: CacheScope, cache: Cache, count: int) -> Iterator[_Window[Tag]]:
    """Windows of at most `count` files and about WINDOW_BYTES, with what the cache has of them."""
    window = _Window[Tag]()
    for item in items:
        window.items.append(item)
        window.keys.append(scope.key(item.data, item.facts))
        window.size += len(item.data)
        if len(window.items) == count or window.size > WINDOW_BYTES:
            window.cached = cache.get(window.keys)
            yield window
            window = _Window[Tag]()
    if window.items:
        window.cached = cache.get(window.keys)
        yield window
