"""The loss of a drawing whose pixel art is known cell by cell."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import l1_loss

from models.tensors import to_oklab

CHROMA = 2.0  # weight of differences of hue and chroma against those of lightness
EDGES = 0.5  # weight of differences between neighbours against those of cells


def pair_loss(drawn: Tensor, native: Tensor) -> Tensor:
    """How far a drawing is from the artwork that it should be, both (N, 3, rows, columns) in [-1, 1]: a scalar.

    L1 of the cells' colours, and of the differences between neighbours: a mean of two possible places of a line is
    wrong in both. In OKLab, where equal distances look equally large, with chroma weighted so that accents are worth
    their hue.
    """
    weights = drawn.new_tensor([1.0, CHROMA, CHROMA])[:, None, None]
    ours, theirs = to_oklab(drawn.float()) * weights, to_oklab(native) * weights
    rows, columns = (l1_loss(ours.diff(dim=axis), theirs.diff(dim=axis)) for axis in (2, 3))
    return l1_loss(ours, theirs) + EDGES * (rows + columns)
