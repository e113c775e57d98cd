"""Loops over pixels as machine code.

numba compiles a loop when it is first called on a machine and keeps the result beside the source, or in the user's
cache where that may not be written; where neither may, each process compiles anew. Arithmetic is IEEE's in the order
written, so that results are the same everywhere. NUMBA_DISABLE_JIT=1 runs the loops as they stand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba

Loop = TypeVar("Loop", bound=Callable[..., object])

PLAIN = {"error_model": "numpy", "nogil": True}

part: Callable[[Loop], Loop] = numba.njit(**PLAIN)  # of a loop in the same file, compiled with it


def compiled(loop: Loop) -> Loop:
    """A loop over contiguous arrays and numbers; for each combination of their types it is compiled once more."""
    try:
        made: Loop = numba.njit(cache=True, **PLAIN)(loop)
    except RuntimeError:  # nowhere to keep it
        made = numba.njit(**PLAIN)(loop)
    return made
