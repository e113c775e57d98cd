"""A map over files whose results are cached by content: streamed, in parallel.

The work is a pure function of a file's bytes and of declared facts. It knows no folder, no cache and no other file, so
it may run anywhere, and its result may be taken from an earlier run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
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

    def tasks() -> Iterator[tuple[tuple[list[tuple[Item[Tag], bytes]], dict[bytes, bytes]], list[Any]]]:
        for window in _windows(items, window_size(executor)):
            keyed = [(item, scope.key(item.data, item.facts)) for item in window]
            cached = cache.get([key for _, key in keyed])
            yield (keyed, cached), [(item.data, item.facts) for item, key in keyed if key not in cached]

    for (keyed, cached), results in stream_map(partial(_work, work=work), tasks(), executor):
        fresh: dict[bytes, bytes] = {}
        for item, key in keyed:
            value = cached.get(key)
            if value is None:
                value = fresh[key] = next(results)
            yield item.tag, value
        cache.put(fresh)


def _work(item: tuple[bytes, Facts], work: Callable[[bytes, Facts], bytes]) -> bytes:
    return work(*item)


def _windows(items: Iterable[Item[Tag]], count: int) -> Iterator[list[Item[Tag]]]:
    """Windows of at most `count` files and about WINDOW_BYTES."""
    window: list[Item[Tag]] = []
    size = 0
    for item in items:
        window.append(item)
        size += len(item.data)
        if len(window) == count or size > WINDOW_BYTES:
            yield window
            window, size = [], 0
    if window:
        yield window
