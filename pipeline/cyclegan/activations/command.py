"""`facetopix activations`: every convolution of trained generators on a face of the user's choice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from pipeline.cyclegan import generators
from pipeline.cyclegan.activations import layers as activations
from pipeline.cyclegan.activations.figure import figure
from pipeline.errors import BadInput
from pipeline.images.files import Pixels, encode_png, read_rgb
from pipeline.runtime import devices
from pipeline.runtime.files import write_atomic

CHANNELS = 16
LARGEST = 512  # pixels a side of a face


def run(face: Path, weights: Path, out: Path, device: str) -> dict[str, Any]:
    """Write `<out>/<face>-<generator>.png`, rows are layers and columns are channels, for each generator found.

    Args:
        face: an opaque picture whose sides the generators can take.
        weights: `a2b.safetensors` of a generator, its folder, or a folder of such folders.
        out: made if need be; a figure of the same name is replaced.
        device: auto | cpu | cuda.

    Returns:
        `face`, and under `generators` by name: the `figure`'s path and `layers` (see `activations.summary`).

    Raises:
        BadInput: no such face, or one with transparency or of a size that a generator cannot take; no weights.
    """
    if not face.is_file():
        raise BadInput(f"{face}: no such picture; expected a face as PNG, opaque")
    picture = read_rgb(face)
    found = {}
    for path in _weights(weights):
        net, shape = generators.load(path, devices.pick_device(device))
        _check(face, picture, shape)
        name = f"{face.stem}-{shape.generator}.png"
        found[shape.generator] = _shown(net, picture, out / name)
    return {"face": str(face), "generators": found}


def _weights(weights: Path) -> list[Path]:
    if not weights.is_dir():
        return [weights]
    own = weights / "a2b.safetensors"
    found = [own] if own.is_file() else sorted(weights.glob("*/a2b.safetensors"))
    if not found:
        raise BadInput(f"{weights}: no a2b.safetensors there or one folder below; run `facetopix train` first")
    return found


def _check(face: Path, picture: Pixels, shape: generators.Shape) -> None:
    step = 2 * shape.factor if shape.generator == "cell" else 4
    least = 16 * step if shape.generator == "cell" else 32
    if any(side % step or not least <= side <= LARGEST for side in picture.shape[:2]):
        raise BadInput(
            f"{face}: {picture.shape[1]}x{picture.shape[0]} pixels; the {shape.generator} generator takes sides of "
            f"{least} to {LARGEST} that are multiples of {step}, best the {shape.size} it was trained on"
        )


def _shown(net: nn.Module, picture: Pixels, path: Path) -> dict[str, Any]:
    layers = activations.layers(net, picture)
    side = max(max(layer.maps.shape[1:]) for layer in layers)
    write_atomic(path, encode_png(figure(layers, channels=CHANNELS, side=int(side))))
    return {"figure": str(path), "layers": activations.summary(layers)}


def lines(outcome: dict[str, Any]) -> list[str]:
    """A line a layer, for reading: where the comb energy rises, the tiles arise."""
    told = []
    for generator, found in outcome["generators"].items():
        told.append(f"{generator}: {found['figure']}")
        told += [_line(layer) for layer in found["layers"]]
    return told


def _line(layer: dict[str, Any]) -> str:
    size = f"{layer['channels']} x {layer['height']} x {layer['width']}"
    comb = "" if layer["comb_db"] is None else f"comb {layer['comb_db']:+.1f} dB"
    return f"  {layer['name']:<24} {layer['kind']:<10} {size:<16} {comb}".rstrip()
