"""Loops over pixels as machine code.

numba compiles a loop when it is first called on a machine and keeps the result beside the source, or in the user's
cache where that may not be written; where neither may, each process compiles anew. Arithmetic is IEEE's in the order
written, so that results are the same everywhere. NUMBA_DISABLE_JIT=1 runs the loops as they stand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Loop = TypeVar("Loop", bound=Callable[..., object])


def part(loop: Loop) -> Loop:
    """What a loop of the same file calls, compiled with it."""
    made: Any = numba.njit(loop, error_model="numpy", nogil=True)
    return cast(Loop, made)


def compiled(loop: Loop) -> Loop:
    """A loop over contiguous arrays and numbers; for each combination of their types it is compiled once more."""
    try:
        made: Any = numba.njit(loop, cache=True, error_model="numpy", nogil=True)
    except RuntimeError:  # nowhere to keep it
        return part(loop)
    return cast(Loop, made)
