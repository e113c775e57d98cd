"""The loss of a drawing whose pixel art is known cell by cell."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import avg_pool2d, l1_loss

from models.tensors import to_oklab

CHROMA = 2.0  # weight of differences of hue and chroma against those of lightness
EDGES = 0.5  # weight of differences between neighbours against those of cells
DETAIL = 4.0  # by how much more a cell counts for each 1 of weighted distance from the mean around it, ...
MOST_DETAIL = 2.0  # ... at most so many times
AROUND = 5  # cells a side of what is around a cell


def pair_loss(drawn: Tensor, native: Tensor) -> Tensor:
    """How far a drawing is from the artwork that it should be, both (N, 3, rows, columns) in [-1, 1]: a scalar.

    L1 of the cells' colours, and of the differences between neighbours: a mean of two possible places of a line is
    wrong in both. In OKLab, where equal distances look equally large, with chroma weighted so that accents are worth
    their hue. Cells that stand out from what is around them count more: with L1 alone, who is not quite sure of a mouth
    of two cells draws skin.
    """
    weights = drawn.new_tensor([1.0, CHROMA, CHROMA])[:, None, None]
    ours, theirs = to_oklab(drawn.float()) * weights, to_oklab(native) * weights
    around = avg_pool2d(theirs, AROUND, stride=1, padding=AROUND // 2, count_include_pad=False)
    detail = (1 + DETAIL * (theirs - around).norm(dim=1, keepdim=True)).clamp(max=MOST_DETAIL)
    cells = ((ours - theirs).abs() * detail).mean() / detail.mean()
    rows, columns = (l1_loss(ours.diff(dim=axis), theirs.diff(dim=axis)) for axis in (2, 3))
    loss: Tensor = cells + EDGES * (rows + columns)
    return loss
