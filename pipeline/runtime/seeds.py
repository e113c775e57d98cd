"""Random streams addressed by name: each consumer has its own, so that a new one reshuffles no other."""

from __future__ import annotations

import hashlib

import numpy as np


def derive(seed: int, *address: str | int) -> int:
    """A 63-bit seed for the stream at `address`, the same on every machine."""
    text = "\x1f".join(map(str, (seed, *address)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *address: str | int) -> np.random.Generator:
    """An independent NumPy generator for the stream at `address`."""
    return np.random.Generator(np.random.PCG64(derive(seed, *address)))
