"""The networks of the CycleGANs: generators and discriminators, by explicit numbers.

    paper -> here:  X -> a (faces)   Y -> b (pixel art)   G -> a2b   F -> b2a   D_X -> disc_a   D_Y -> disc_b

Three systems of four networks:

- `resnet`: the students' report, row by row. Both domains are pictures of S x S pixels. Its upscaling half is made of
  transposed convolutions of kernel 3 and stride 2, the very case of uneven overlap (Odena et al. 2016).
- `resize`: the same with nearest enlargement and convolution instead.
- `cell`: the art domain lives on its native grid of S/k x S/k cells, so every cell has one colour by construction.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations, parametrize

from models.cyclegan.layers import MirrorConv2d, UpsampleConv2d

LEVELS = 3  # halvings of the grid in the generator of cells
GROUPS = 8  # of its norms
SEEN = 2  # pixels a side of a cell that it sees: with 4 it made a checkered pattern of every strand of hair


def init_weights(module: nn.Module) -> None:
    """Initialise a convolution as the paper's code does: normal(0, 0.02), zero biases; `net.apply(init_weights)`."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _normed(convolution: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(convolution, nn.InstanceNorm2d(channels), nn.ReLU(inplace=True))


class ResidualBlock(nn.Module):
    """The paper's residual block (appendix 7.2): x + conv(relu(conv(x))), reflection padded, instance-normed.

    (N, C, H, W) -> same.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _normed(MirrorConv2d(channels, channels, 3), channels),
            MirrorConv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.body(x)
        return result


def _transposed(before: int, after: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(before, after, 3, stride=2, padding=1, output_padding=1)


def resnet_generator(
    width: int = 64, blocks: int = 9, upsampling: Callable[[int, int], nn.Module] = _transposed
) -> nn.Sequential:
    """The report's generator, one child a row of its table.

    (N, 3, S, S) -> same, in [-1, 1]; S divisible by 4. 11,378,179 parameters at the defaults.
    """
    return nn.Sequential(
        _normed(MirrorConv2d(3, width, 7), width),
        _normed(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), 2 * width),
        _normed(nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1), 4 * width),
        nn.Sequential(*(ResidualBlock(4 * width) for _ in range(blocks))),
        _normed(upsampling(4 * width, 2 * width), 2 * width),
        _normed(upsampling(2 * width, width), width),
        nn.Sequential(MirrorConv2d(width, 3, 7), nn.Tanh()),
    )


def resize_generator(width: int = 64, blocks: int = 9) -> nn.Sequential:
    """The report's generator with nearest enlargement and convolution instead of its transposed convolutions.

    The same 11,378,179 parameters: a smaller upscaling half was seen to stay at the identity.
    """
    return resnet_generator(width, blocks, UpsampleConv2d)


PICTURE_GENERATORS = {"resnet": resnet_generator, "resize": resize_generator}


def report_discriminator(width: int = 64) -> nn.Sequential:
    """The report's PatchGAN, one child a row of its table.

    (N, 3, S, S) -> (N, 1, S/16, S/16) logits. One logit sees 94 x 94 pixels. No norm in the first row, as in the
    paper. 2,764,737 parameters at the defaults.
    """
    rows = [_leaky(nn.Conv2d(3, width, 4, stride=2, padding=1))]
    for before, after in itertools.pairwise([width, 2 * width, 4 * width, 8 * width]):
        rows.append(_leaky(nn.Conv2d(before, after, 4, stride=2, padding=1), nn.InstanceNorm2d(after)))
    return nn.Sequential(*rows, nn.ZeroPad2d((1, 0, 1, 0)), nn.Conv2d(8 * width, 1, 4, padding=1))


def _leaky(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers, nn.LeakyReLU(0.2, inplace=True))


class _SpectralNorm(parametrizations._SpectralNorm):
    """PyTorch's spectral norm, in fp32 also where autocast would take its products in bf16: on a GPU."""

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            return super().forward(weight)


def _spectral(convolution: nn.Conv2d) -> nn.Conv2d:
    """The convolution under a spectral norm (Miyato et al. 2018, arXiv:1802.05957)."""
    parametrize.register_parametrization(convolution, "weight", _SpectralNorm(convolution.weight))
    return convolution


def patch_discriminator(width: int, strides: Sequence[int]) -> nn.Sequential:
    """A PatchGAN of 4x4 convolutions of the given strides, then a 4x4 head of stride 1.

    (N, 3, H, W) -> (N, 1, H', W') logits. One logit sees 25 x 25 pixels for strides (1, 2, 2), 34 x 34 for (2, 2, 1).
    Spectral norm instead of the paper's instance norm, which would hide how flat a patch is: the very thing that tells
    pixel art from a photograph.
    """
    widths = [3, *_widths(width, len(strides))]
    rows = [
        _leaky(_spectral(nn.Conv2d(before, after, 4, stride=stride, padding=1)))
        for before, after, stride in zip(widths, widths[1:], strides, strict=False)
    ]
    return nn.Sequential(*rows, _spectral(nn.Conv2d(widths[-1], 1, 4, padding=1)))


def close_discriminator(width: int) -> nn.Sequential:
    """A PatchGAN of 3x3 convolutions without padding, under spectral norms: each logit sees 7 x 7 pixels.

    (N, 3, H, W) -> (N, 1, H - 6, W - 6) logits. It sees strokes and clusters but no face, so that few artworks are
    enough for it, and none can be learned by heart.
    """
    widths = [3, width, 2 * width, 2 * width]
    rows = [_leaky(_spectral(nn.Conv2d(before, after, 3))) for before, after in itertools.pairwise(widths)]
    return nn.Sequential(*rows, _spectral(nn.Conv2d(widths[-1], 1, 1)))


class Panel(nn.Module):
    """Several discriminators of equal weight, however many logits each has: (N, C, H, W) -> the logits of each."""

    def __init__(self, *critics: nn.Module) -> None:
        super().__init__()
        self.critics = nn.ModuleList(critics)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(critic(x) for critic in self.critics)


class CellShape(NamedTuple):
    """The numbers that make a `CellGenerator`."""

    factor: int  # pixels a side of a cell; a power of two
    width: int  # channels at the resolution of cells
    blocks: int  # residual blocks where the grid is coarsest; elsewhere one on the way down, two on the way up
    critics: int = 32  # channels of the discriminators' first convolutions


class _CellBlock(nn.Module):
    """x + conv(silu(conv(silu(norm(x))))), the identity at the start: (N, C, H, W) -> same (He et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(max(1, math.gcd(2 * GROUPS, channels) // 2), channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.SiLU(),
        )
        self.last = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.last(self.body(x))
        return result


def _cell_blocks(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(_CellBlock(channels) for _ in range(count)))


class CellGenerator(nn.Module):
    """The generator of native pixel art: a U-Net (Ronneberger et al. 2015) on the grid of cells.

    (N, 3, rows * factor, columns * factor) -> (N, 3, rows, columns), about in [-1, 1], any numbers of rows and columns.
    Every cell has one colour by construction: how it departs from the mean of its pixels. A cell is seen as 2 x 2
    pixels, finer detail is for no artist of cells; they are channels (Shi et al. 2016), so nothing is enlarged and no
    place is lost. Three halvings of the grid let it see the whole face. Its colours are chosen afterwards.
    """

    def __init__(self, shape: CellShape) -> None:
        super().__init__()
        if shape.factor < 1 or shape.factor & (shape.factor - 1):
            raise ValueError(f"factor must be a power of two, got {shape.factor}")
        self.factor = shape.factor
        widths = [shape.width, *(2 * shape.width for _ in range(LEVELS))]
        steps = list(itertools.pairwise(widths))
        self.seen = min(shape.factor, SEEN)
        self.stem = nn.Conv2d(3 * self.seen**2 + 3, shape.width, 3, padding=1)
        self.before = nn.ModuleList(_CellBlock(channels) for channels, _ in steps)
        self.halve = nn.ModuleList(nn.Conv2d(fine, coarse, 4, stride=2, padding=1) for fine, coarse in steps)
        self.deep = _cell_blocks(widths[-1], shape.blocks)
        self.after = nn.ModuleList(
            nn.Sequential(nn.Conv2d(coarse + fine, fine, 1), _cell_blocks(fine, 2)) for fine, coarse in reversed(steps)
        )
        self.departure = nn.Conv2d(shape.width, 3, 3, padding=1)

    def start_plain(self) -> None:
        """Let every block begin as the identity and every picture as the mean of its cells."""
        for block in self.modules():
            if isinstance(block, _CellBlock):
                nn.init.zeros_(block.last.weight)
        nn.init.zeros_(self.departure.weight)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = (side // self.factor for side in x.shape[2:])
        beyond = [-cells % 2**LEVELS * self.factor for cells in (rows, columns)]
        if any(beyond):
            x = functional.pad(x, (0, beyond[1], 0, beyond[0]), mode="replicate")
        means = functional.avg_pool2d(x, self.factor)
        x = functional.avg_pool2d(x, self.factor // self.seen)
        features = self.stem(torch.cat([functional.pixel_unshuffle(x, self.seen), means], dim=1))
        kept = []
        for block, halve in zip(self.before, self.halve, strict=True):
            kept.append(block(features))
            features = halve(kept[-1])
        features = self.deep(features)
        for blocks in self.after:
            features = functional.interpolate(features, scale_factor=2, mode="nearest")
            features = blocks(torch.cat([features, kept.pop()], dim=1))
        picture: Tensor = (means + self.departure(features).to(means.dtype))[..., :rows, :columns]
        return picture


def _widths(width: int, count: int) -> list[int]:
    """Channels at full resolution and after every halving: doubled twice at most."""
    return [width * 2 ** min(step, 2) for step in range(count)]


def _deep_path(shallow: int, blocks: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Two networks: features (N, shallow, n, n) through half the grid, n even; and both together -> as the first."""
    deep = 3 * shallow // 2
    path = nn.Sequential(
        _normed(nn.Conv2d(shallow, deep, 3, stride=2, padding=1), deep),
        *(ResidualBlock(deep) for _ in range(blocks)),
        nn.Upsample(scale_factor=2, mode="nearest"),
    )
    return path, _normed(MirrorConv2d(shallow + deep, shallow, 3), shallow)


class CellInverse(nn.Module):
    """The generator of faces from native pixel art.

    (N, 3, n, n) -> (N, 3, n * factor, n * factor) in [-1, 1]. Reads one pixel a cell. Enlarges by nearest neighbour +
    convolution, which cannot overlap unevenly.
    """

    def __init__(self, factor: int = 4, width: int = 64, blocks: int = 6) -> None:
        super().__init__()
        widths = _widths(width, factor.bit_length())[::-1]
        shallow = widths[0]
        self.stem = _normed(MirrorConv2d(3, shallow, 5), shallow)
        self.deep, self.join = _deep_path(shallow, blocks)
        self.enlarge = nn.Sequential(
            *(_normed(UpsampleConv2d(before, after), after) for before, after in itertools.pairwise(widths))
        )
        self.head = nn.Sequential(MirrorConv2d(widths[-1], 3, 5), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        features = self.stem(x)
        features = self.join(torch.cat([features, self.deep(features)], dim=1))
        picture: Tensor = self.head(self.enlarge(features))
        return picture
