"""Trained generators on disk: safetensors weights that carry what is needed to build their network again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from models.cyclegan.cycle_losses import System
from models.cyclegan.networks import PICTURE_GENERATORS, CellGenerator, CellShape
from models.cyclegan.train import cell_system, picture_system
from pipeline.errors import BadInput, BadParams

HEADER = "facetopix"
LARGEST = 1 << 12  # of the numbers of a shape: beyond, memory is all that they would cost
MESSAGE = 200  # letters of a reason: torch lists every key


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The numbers that a generator is built from; they travel in the header of its weights."""

    generator: str  # resnet | resize | cell
    width: int
    blocks: int
    size: int  # pixels a side of the pictures it was trained on
    cells: int  # cells a side that it draws
    palette: int | None  # most colours of a picture; this and the rest are used by `cell` alone
    critics: int  # channels of the discriminators' first convolutions

    @property
    def cell_shape(self) -> CellShape:
        """The numbers of a `cell` generator as its network takes them."""
        return CellShape(self.factor, self.width, self.blocks, self.critics)

    @property
    def factor(self) -> int:
        """Pixels a side of a cell."""
        return self.size // self.cells


def new_system(shape: Shape) -> System:
    """The four networks of a generator's training, initialised from torch's global generator (the caller seeds it).

    Raises:
        BadParams: numbers that this generator cannot have.
    """
    _check(shape)
    if shape.generator == "cell":
        return cell_system(shape.cell_shape)
    return picture_system(shape.generator, shape.width, shape.blocks, shape.factor)


def _check(shape: Shape) -> None:
    where = f"for the {shape.generator} generator"
    if shape.generator != "cell":
        if shape.size < 32 or shape.size % 4:
            raise BadParams(f"resize.size: expected at least 32 and a multiple of 4 {where}, got {shape.size}")
        return
    if shape.factor & (shape.factor - 1):
        raise BadParams(
            f"resize.size / resize.cells: expected a power of two {where}, got {shape.size} / {shape.cells}"
        )
    if shape.cells < 10 or shape.cells % 2:
        raise BadParams(f"resize.cells: expected an even number of at least 10 {where}, got {shape.cells}")


def save(path: Path, net: nn.Module, shape: Shape) -> None:
    """Write the weights of a generator with its shape in the header: one entry, as several come in any order."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    save_file(weights, path, metadata={HEADER: json.dumps(asdict(shape), sort_keys=True)})


def load(path: Path, device: str = "cpu") -> tuple[nn.Module, Shape]:
    """Read a trained generator, in evaluation mode, and its shape.

    Raises:
        BadInput: no such file, or not weights of one of our generators.
    """
    if path.exists() and not path.is_file():
        raise BadInput(f"{path}: expected the .safetensors file of a generator, found no file")
    try:
        with safe_open(path, framework="pt") as file:
            shape = _read_shape(file.metadata() or {})
        net: nn.Module
        if shape.generator == "cell":
            net = CellGenerator(shape.cell_shape)
        else:
            net = PICTURE_GENERATORS[shape.generator](shape.width, shape.blocks)
        weights = load_file(path)
        net.load_state_dict(weights)
    except FileNotFoundError as error:
        raise BadInput(f"{path}: no trained generator there; run `facetopix train` first") from error
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:MESSAGE]
        raise BadInput(f"{path}: not the weights of a facetopix generator: {reason}") from error
    if broken := next((name for name, values in weights.items() if not values.isfinite().all()), None):
        raise BadInput(f"{path}: weights that are no numbers (NaN or infinite), first {broken}: the training diverged")
    return net.eval().to(device), shape


def _read_shape(header: Mapping[str, str]) -> Shape:
    """The shape in a header; ValueError or TypeError where it is none that a generator can have."""
    if HEADER not in header:
        raise ValueError(f"of another program: expected a header named {HEADER}")
    shape = Shape(**json.loads(header[HEADER]))
    sizes = (shape.width, shape.blocks, shape.size, shape.cells, shape.critics)
    if not all(type(number) is int and 0 <= number <= LARGEST for number in sizes) or not shape.width * shape.cells:
        raise ValueError(f"numbers that no generator has: {header[HEADER]}")
    return shape
