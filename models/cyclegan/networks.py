"""The networks of the CycleGANs: generators and discriminators, by explicit numbers.

    paper -> here:  X -> a (faces)   Y -> b (pixel art)   G -> a2b   F -> b2a   D_X -> disc_a   D_Y -> disc_b

Three systems of four networks:

- `resnet`: the students' report, row by row. Both domains are pictures of S x S pixels. Its upscaling half is made of
  transposed convolutions of kernel 3 and stride 2, the very case of uneven overlap (Odena et al. 2016).
- `resize`: the same with nearest enlargement and convolution instead.
- `cell`: the art domain lives on its native grid of S/k x S/k cells. The generator has no upscaling half, so every
  cell has one colour by construction, and a palette head gives the whole picture at most K colours.
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

SHARPNESS = 4.0  # of a cell's choice of a colour
NEARNESS = 2.0  # logits lost per unit of distance between a cell's free colour and one of a shared palette
ANCHORING = 0.7  # at the start: the same, per squared unit, of the colour around which a slot begins
FEATURE_STD = 0.06  # at the start: of the weights of features; with less, pictures stay flat and far from art


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


class Painting(NamedTuple):
    """A picture that a generator of pixel art drew, with the commitment loss of its palette."""

    picture: Tensor  # (N, 3, n, n) in [-1, 1]
    commitment: Tensor  # scalar: mean |free colours - palette colours|, 0 for generators without a palette


class CellShape(NamedTuple):
    """The numbers that make a `CellGenerator`.

    `colours` is what the palette head chooses from: "own", a palette that every picture makes of its own colours; or
    "shared", one palette for all, a part of the weights.
    """

    factor: int  # pixels a side of a cell; a power of two
    width: int  # channels at full resolution
    blocks: int  # residual blocks of the deep path
    palette: int | None = 16  # K, the most colours of a picture; None: as many as there are cells
    colours: str = "own"
    critics: int = 32  # channels of the discriminators' first convolutions


class CellGenerator(nn.Module):
    """The generator of native pixel art from faces, with at most K colours a picture.

    (N, 3, S, S) -> (N, 3, S/factor, S/factor) in [-1, 1]. A shallow path keeps the place of every cell, a deep one at
    half the grid sees the whole face. Together they say how each cell departs from the mean of its pixels, and which of
    K colours it takes (`PaletteHead`): discriminator, cycle and identity see only what a user will see.

    `palette` may be lowered at inference: the picture is then reduced further.
    """

    def __init__(self, shape: CellShape) -> None:
        super().__init__()
        if shape.factor < 1 or shape.factor & (shape.factor - 1):
            raise ValueError(f"factor must be a power of two, got {shape.factor}")
        self.palette = shape.palette
        widths = _widths(shape.width, shape.factor.bit_length())
        shallow = widths[-1]
        self.cell_mean = nn.AvgPool2d(shape.factor)
        self.stem = nn.Sequential(
            _normed(MirrorConv2d(3, shape.width, 5), shape.width),
            *(
                _normed(nn.Conv2d(before, after, 4, stride=2, padding=1), after)
                for before, after in itertools.pairwise(widths)
            ),
        )
        self.deep, self.join = _deep_path(shallow, shape.blocks)
        self.departure = MirrorConv2d(shallow, 3, 3)
        heads: dict[str, type[PaletteHead | SharedPaletteHead]] = {"own": PaletteHead, "shared": SharedPaletteHead}
        self.head = None if shape.palette is None else heads[shape.colours](shallow, shape.palette)

    def start_plain(self) -> None:
        """Let free colours begin as the mean of every cell: content is present from the start."""
        nn.init.zeros_(self.departure.weight)

    def paint(self, x: Tensor) -> Painting:
        """Draw faces, (N, 3, S, S) in [-1, 1], with the network's own palette."""
        features = self.stem(x)
        features = self.join(torch.cat([features, self.deep(features)], dim=1))
        with torch.autocast(x.device.type, enabled=False):  # colours need all their bits
            features = features.float()
            departure = 2 * torch.tanh(self.departure(features))
            free = (self.cell_mean(x.float()) + departure).clamp(-1.0, 1.0)  # (N, 3, n, n)
            if self.head is None:
                return Painting(free, free.new_zeros(()))
            return self.head(features, free)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        picture = self.paint(x).picture
        slots = math.inf if self.head is None else self.head.slots
        return picture if self.palette is None or self.palette >= slots else quantise(picture, self.palette)


class PaletteHead(nn.Module):
    """The choice of a colour for each cell from a palette made of its picture: at most K colours, by construction.

    p = softmax(sharpness * logits) says how much a cell belongs to each of K slots; a slot's colour is the mean of the
    free colours that belong to it; a cell shows the colour of its largest p. The gradient of that choice is the one of
    p (straight through: Bengio et al. 2013, arXiv:1308.3432).

    Args:
        channels: of the features.
        slots: K.
    """

    def __init__(self, channels: int, slots: int) -> None:
        super().__init__()
        self.slots = slots
        self.logits = nn.Conv2d(channels + 3, slots, 1)  # of the features and the free colour

    def start(self, anchors: Tensor) -> None:
        """Let the slots begin as the colours around K anchors, (K, 3) in [-1, 1].

        -ANCHORING * |colour - anchor|^2 is linear in the colour but for a term that all slots share. Without such a
        start a slot takes cells of any colours and shows their grey mean, and small accents are learned late.
        """
        with torch.no_grad():
            nn.init.normal_(self.logits.weight, 0.0, FEATURE_STD)
            self.logits.weight[:, -3:, 0, 0] = 2 * ANCHORING * anchors
            assert self.logits.bias is not None
            self.logits.bias.copy_(-ANCHORING * anchors.square().sum(dim=1))

    def forward(self, features: Tensor, free: Tensor) -> Painting:
        """Features (N, C, n, n) and free colours (N, 3, n, n) -> the picture, and how far it is from them."""
        logits = self.logits(torch.cat([features, free], dim=1))
        p = torch.softmax(SHARPNESS * logits, dim=1)  # (N, K, n, n)
        mass = p.sum(dim=(2, 3))[..., None].clamp_min(1e-6)
        palette = torch.einsum("nkyx,ncyx->nkc", p, free) / mass  # (N, K, 3)
        commitment = (torch.einsum("nkyx,nkc->ncyx", p, palette) - free).abs().mean()
        return Painting(torch.einsum("nkyx,nkc->ncyx", _harden(p), palette), commitment)


class SharedPaletteHead(nn.Module):
    """The choice of a colour for each cell from one palette for all pictures, which is learned or given.

    A cell prefers the colour that is nearest to its free one, as far as the features do not speak against it.

    Args:
        channels: of the features.
        slots: K; `start` says which colours.
    """

    def __init__(self, channels: int, slots: int) -> None:
        super().__init__()
        self.slots = slots
        self.logits = nn.Conv2d(channels, slots, 1)
        self.palette = nn.Parameter(torch.rand(slots, 3) * 2 - 1)  # (K, 3) in [-1, 1]

    def start(self, palette: Tensor, *, learned: bool) -> None:
        """Take the nearest colours of a palette, (K, 3) in [-1, 1], and learn it further or leave it as it is."""
        with torch.no_grad():
            nn.init.zeros_(self.logits.weight)
            self.palette.copy_(palette)
        self.palette.requires_grad_(learned)

    def forward(self, features: Tensor, free: Tensor) -> Painting:
        """Features (N, C, n, n) and free colours (N, 3, n, n) -> the picture, and how far it is from them."""
        cells = free.flatten(2).mT  # (N, n * n, 3)
        distance = (cells[:, :, None] - self.palette).square().sum(dim=3).add(1e-6).sqrt()  # (N, n * n, K)
        nearness = -NEARNESS * distance.mT.reshape(len(free), self.slots, *free.shape[2:])
        p = torch.softmax(SHARPNESS * (self.logits(features) + nearness), dim=1)  # (N, K, n, n)
        commitment = (torch.einsum("nkyx,kc->ncyx", p, self.palette) - free).abs().mean()
        return Painting(torch.einsum("nkyx,kc->ncyx", _harden(p), self.palette), commitment)


def _harden(p: Tensor) -> Tensor:
    """1 at the largest of dim 1 of (N, K, n, n), else 0, with the gradient of `p`."""
    hard = functional.one_hot(p.argmax(dim=1), p.shape[1]).movedim(-1, 1).to(p.dtype)
    return p + (hard - p).detach() if torch.is_grad_enabled() else hard


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


@torch.no_grad()
def quantise(free: Tensor, colours: int, rounds: int = 4) -> Tensor:
    """Reduce each picture of (N, 3, n, n) to at most `colours` colours: the means of its own clusters.

    k-means in RGB, started from the cells that are farthest from each other (Gonzalez 1985), so that small accents such
    as eyes get an entry, and a picture of K colours keeps them: no randomness, and no gradient.
    """
    cells = free.flatten(2).mT  # (N, n * n, 3)
    palette = _farthest(cells, colours)  # (N, K, 3)
    for _ in range(rounds):
        owner = torch.cdist(cells, palette).argmin(dim=2)  # (N, n * n)
        mass = torch.zeros(palette.shape[:2], device=free.device).scatter_add_(1, owner, torch.ones_like(cells[..., 0]))
        total = torch.zeros_like(palette).scatter_add_(1, owner[..., None].expand_as(cells), cells)
        palette = torch.where(mass[..., None] > 0, total / mass[..., None].clamp_min(1), palette)
    owner = torch.cdist(cells, palette).argmin(dim=2)
    return palette.gather(1, owner[..., None].expand(-1, -1, 3)).mT.reshape(free.shape)


def _farthest(cells: Tensor, colours: int) -> Tensor:
    """(N, M, 3) -> (N, K, 3): K times the cell that is farthest from all chosen so far, the first from the mean."""
    pictures = torch.arange(len(cells), device=cells.device)
    distance = (cells - cells.mean(dim=1, keepdim=True)).square().sum(dim=2)  # (N, M)
    chosen = [cells[pictures, distance.argmax(dim=1)]]
    distance = torch.full_like(distance, torch.inf)
    for _ in range(colours - 1):
        distance = torch.minimum(distance, (cells - chosen[-1][:, None]).square().sum(dim=2))
        chosen.append(cells[pictures, distance.argmax(dim=1)])
    return torch.stack(chosen, dim=1)


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
